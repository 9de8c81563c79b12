import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { StartupError } from '../errors.ts';
import { refusal } from './fixture.test.ts';
import { isSameDatabase, parsePostgresUrl } from './location.ts';

const parse = (url: string) => parsePostgresUrl(url, 'TRIALKEEP_DATABASE');

test('a location is read as PostgreSQL reads it', () => {
  const plain = { port: 5432, database: 'keep', applicationName: 'trialkeep', tls: undefined };
  assert.deepEqual(parse('postgresql://app@localhost/keep'), { ...plain, user: 'app', host: 'localhost' });
  assert.deepEqual(parse('postgres://a%40b@[::1]:6000/k%20p?sslmode=disable&application_name=node-1'), {
    user: 'a@b',
    host: '::1',
    port: 6000,
    database: 'k p',
    applicationName: 'node-1',
    tls: undefined,
  });
  assert.deepEqual(parse('postgresql://app@:6000/keep?host=%2Frun%2Fpostgresql'), {
    ...plain,
    user: 'app',
    host: '/run/postgresql',
    port: 6000,
  });
  assert.deepEqual(parse('postgresql://app@db.example.org/keep?sslmode=verify-full').tls, {});
  const certificates = 'sslrootcert=/etc/ca.pem&sslcert=/etc/app.pem&sslkey=/etc/app.key';
  assert.deepEqual(parse(`postgresql://app@192.0.2.7/keep?sslmode=verify-full&${certificates}`).tls, {
    ca: '/etc/ca.pem',
    certificate: '/etc/app.pem',
    key: '/etc/app.key',
  });
});

test('a password in a location is refused, and not repeated [URS-011]', () => {
  for (const url of [
    'postgresql://app:canary@localhost/keep',
    'postgresql://app:@localhost/keep',
    'postgresql://app:canary@/keep?host=/run',
    'postgresql://app:can@ary@localhost/keep',
    'postgresql://app:canary@one,two/keep',
    'postgresql://app@localhost/keep?password=canary',
  ]) {
    assert.throws(() => parse(url), refusal('database.url_password'), url);
    assert.throws(
      () => parse(url),
      (error: Error) => !/canary|ary@/.test(`${error.message} ${error.stack}`),
    );
  }
});

test('a way across a network without proof of who answers is refused [URS-011]', () => {
  for (const mode of ['', 'disable', 'allow', 'prefer', 'require', 'verify-ca', 'no-verify']) {
    const query = mode === '' ? '' : `?sslmode=${mode}`;
    assert.throws(
      () => parse(`postgresql://app@db.example.org/keep${query}`),
      refusal('database.url_insecure'),
      mode,
    );
  }
  assert.throws(
    () => parse('postgresql://app@127.0.0.1/keep?sslmode=require'),
    refusal('database.url_insecure'),
  );
});

test('a location that is not plain is refused with what is wrong', () => {
  for (const [url, detail] of [
    ['', /must be/],
    ['mysql://app@localhost/keep', /must be/],
    ['postgresql://localhost/keep', /must be/],
    ['postgresql://app@localhost', /must be/],
    ['postgresql://app@localhost/', /must be/],
    ['postgresql://app@localhost/keep/more', /must be/],
    ['postgresql://app@localhost/keep#x', /must be/],
    ['postgresql://app@one,two/keep', /must be/],
    ['postgresql://app@localhost:0/keep', /must be/],
    ['postgresql://app@localhost:65536/keep', /port/],
    ['postgresql://app@/keep', /no host/],
    ['postgresql://app@localhost/keep?host=/run', /host=/],
    ['postgresql://app@/keep?host=run', /host=/],
    ['postgresql://app@localhost/keep?options=-csearch_path%3Dx', /parameters may be/],
    ['postgresql://app@localhost/keep?sslmode=disable&sslmode=disable', /twice/],
    ['postgresql://app@localhost/keep?application_name=', /empty/],
    ['postgresql://app@localhost/ke%00ep', /control/],
    ['postgresql://app@localhost/ke%ffep', /UTF-8/],
    ['postgresql://app@localhost/keep?sslrootcert=/etc/ca.pem', /verify-full/],
    ['postgresql://app@localhost/keep?sslmode=verify-full&sslcert=/etc/app.pem', /belong together/],
    [`postgresql://app@localhost/${'k'.repeat(2000)}`, /must be/],
  ] as const) {
    assert.throws(() => parse(url), refusal('database.url_invalid', detail), url);
  }
});

test('whatever the text, it is read or refused', () => {
  const parts = fc.constantFrom(
    'postgresql://',
    'app',
    ':',
    '@',
    '/',
    '?',
    '=',
    '&',
    '%2F',
    '[',
    ']',
    'host',
    ',',
    '\0',
    'é',
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 12 }), (pieces) => {
      try {
        parse(pieces.join(''));
      } catch (error) {
        assert.ok(error instanceof StartupError);
      }
    }),
  );
});

test('a database has one location, whoever uses it', () => {
  const main = parse('postgresql://app@localhost/keep');
  assert.ok(isSameDatabase(main, parse('postgres://other@localhost:5432/keep?application_name=x')));
  assert.equal(isSameDatabase(main, parse('postgresql://app@localhost/shred')), false);
  assert.equal(isSameDatabase(main, parse('postgresql://app@localhost:6000/keep')), false);
});
