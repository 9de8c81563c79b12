import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { parseCertificates } from '@trialkeep/crypto';
import { opensslMissing } from '../../../../tools/self-signed.ts';
import { otherTestPolicy } from '../../../../tools/timestamp-authority.ts';
import type { Behaviour } from '../../../../tools/timestamp-authority.ts';
import { makeFolder } from '../platform/fixture.test.ts';
import { Authorities, NoTimestamp } from './authorities.ts';
import { obtainTimestamp } from './authority.ts';
import { serve } from './fixture.test.ts';
import type { Served } from './fixture.test.ts';
import { readSettings } from './settings.ts';
import type { Authority } from './settings.ts';

const skip = opensslMissing;
const data = Buffer.from('note');
const trusting = ({ url, authority }: Served, roots = authority.rootPem): Authority => ({
  url,
  roots: parseCertificates(roots),
  policy: undefined,
});

test(
  'an authority gives a timestamp, also under a policy that is asked for [URS-035]',
  { skip },
  async (t) => {
    const served = await serve(t);
    const { verified } = await obtainTimestamp(trusting(served), data);
    assert.equal(verified.hash, 'SHA-512');
    const under = await obtainTimestamp({ ...trusting(served), policy: otherTestPolicy }, data);
    assert.equal(under.verified.policy, otherTestPolicy);
    const refusal = { code: 'crypto.timestamp_refused', message: /unacceptedPolicy/ };
    await assert.rejects(obtainTimestamp({ ...trusting(served), policy: '1.2.3' }, data), refusal);
  },
);

const faults: Record<Exclude<Behaviour, 'right'>, string> = {
  'other-nonce': 'crypto.timestamp_nonce',
  'other-imprint': 'crypto.timestamp_imprint',
  refusing: 'crypto.timestamp_refused',
  slow: 'slow',
  huge: 'too-large',
  redirect: 'redirect',
  status: 'status',
  'media-type': 'media-type',
  altered: 'crypto.timestamp_signature',
};

for (const [behaviour, code] of Object.entries(faults)) {
  test(`an authority that answers wrongly is refused: ${behaviour} [URS-035]`, { skip }, async (t) => {
    const served = await serve(t);
    served.behaviour = behaviour as Behaviour;
    await assert.rejects(obtainTimestamp(trusting(served), data, behaviour === 'slow' ? 300 : 10_000), {
      code,
    });
    assert.equal(served.requests(), 1, 'nothing was asked twice, or elsewhere');
  });
}

test(
  'an authority that is gone, or expired, or under another root, is refused [URS-035]',
  { skip },
  async (t) => {
    const gone = await serve(t);
    await gone.close();
    await assert.rejects(obtainTimestamp(trusting(gone), data), { code: 'unreachable' });
    const expired = await serve(t, { days: -1 });
    await assert.rejects(obtainTimestamp(trusting(expired), data), { code: 'crypto.timestamp_certificate' });
    const foreign = trusting(expired, gone.authority.rootPem);
    const served = await serve(t);
    await assert.rejects(obtainTimestamp({ ...foreign, url: served.url }, data), {
      code: 'crypto.timestamp_untrusted',
    });
  },
);

test(
  'the next authority is asked where one fails, and the one that failed is left alone for a while [URS-035]',
  { skip },
  async (t) => {
    const [first, second] = [await serve(t), await serve(t)];
    let time = 1000;
    const clock = { now: () => time };
    const measure = async (): Promise<number> => time;
    const authorities = new Authorities([trusting(first), trusting(second)], clock, {
      answerMs: 5000,
      restMs: 100,
    });
    first.behaviour = 'status';
    assert.equal((await authorities.obtain(data, measure)).url, second.url);
    assert.equal((await authorities.obtain(data, measure)).url, second.url);
    assert.equal(first.requests(), 1);
    time += 200;
    first.behaviour = 'right';
    assert.equal((await authorities.obtain(data, measure)).url, first.url);
    first.behaviour = 'refusing';
    second.behaviour = 'redirect';
    await assert.rejects(authorities.obtain(data, measure), (error) => {
      assert.ok(error instanceof NoTimestamp);
      assert.deepEqual(error.failures, { [first.url]: 'crypto.timestamp_refused', [second.url]: 'redirect' });
      return true;
    });
  },
);

function settings(t: TestContext, url: string, roots: string): ReturnType<typeof readSettings> {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'roots.pem'), roots);
  return readSettings({ authorities: [{ url, roots: 'roots.pem' }] }, folder);
}

test(
  'a configuration without private URLs and readable roots keeps the server from starting [URS-035]',
  { skip },
  async (t) => {
    const { authority } = await serve(t);
    const read = settings(t, 'https://tsa.example.org/tsr', authority.rootPem);
    assert.deepEqual([read.authorities.length, read.intervalMs, read.maxDriftMs], [1, 86_400_000, 5000]);
    assert.equal(settings(t, 'http://[::1]:3000', authority.rootPem).authorities.length, 1);
    for (const url of [
      'http://tsa.example.org/',
      'ftp://127.0.0.1/',
      'nothing',
      'https://user:word@tsa.example.org/',
    ]) {
      assert.throws(() => settings(t, url, authority.rootPem), {
        code: 'config.invalid',
        message: /authorities\/0\/url/,
      });
    }
    assert.throws(() => settings(t, 'https://tsa.example.org/', 'text'), {
      code: 'config.invalid',
      message: /roots/,
    });
    assert.throws(
      () => readSettings({ authorities: [{ url: 'https://a/', roots: 'none.pem' }] }, makeFolder(t)),
      {
        code: 'config.invalid',
      },
    );
  },
);
