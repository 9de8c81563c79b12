import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '../fixture.test.ts';
import { makeSlice } from './fixture.test.ts';
import { codeOf, invite, password, wrongCode } from '../people.fixture.test.ts';
import { isWeakPassword } from './password-rules.ts';

test('a generator is in force once a code of it has been given, and not before [URS-026]', async (t) => {
  const slice = await makeSlice(t);
  const { person, invitation } = await invite(slice, 'anna');
  const finish = (code: string) => slice.admit('enrolment.finish', invitation.secret, { password, code });
  await assert.rejects(finish('000000'), refusal('enrolment.not_begun'));
  const first = await slice.admit('enrolment.begin', invitation.secret, {});
  assert.deepEqual(slice.trace.record, { person: person.id });
  assert.match(first.totp.secret, /^[A-Z2-7]{52}$/);
  assert.ok(first.totp.uri.startsWith('otpauth://totp/Trialkeep:anna'));
  assert.ok(first.totp.uri.includes(`secret=${first.totp.secret}&`));
  const second = await slice.admit('enrolment.begin', invitation.secret, {});
  const { time } = slice.clock;
  const wrong = refusal('enrolment.code_wrong');
  await assert.rejects(finish(wrongCode(second.totp.secret, time)), wrong);
  await assert.rejects(finish(codeOf(first.totp.secret, time)), wrong);
  await assert.rejects(finish(codeOf(second.totp.secret, time - 90_000)), wrong);
  const input = { tenant: slice.logs.one.tenant ?? '', login: 'anna', password, code: '000000' };
  await assert.rejects(slice.admit('sessions.create', '', input), refusal('auth.failed'));
  const active = await finish(codeOf(second.totp.secret, time - 30_000));
  assert.equal(active.state, 'active');
  const rows = await slice.database.read((tx) => tx.selectFrom('authenticator').select('type').execute());
  assert.deepEqual(rows.map(({ type }) => type).toSorted(), ['password', 'totp']);
});

test('a weak password is refused, and the invitation stays good [URS-025]', async (t) => {
  const slice = await makeSlice(t);
  const { invitation } = await invite(slice, 'anna');
  const { totp } = await slice.admit('enrolment.begin', invitation.secret, {});
  const finish = (chosen: string) =>
    slice.admit('enrolment.finish', invitation.secret, {
      password: chosen,
      code: codeOf(totp.secret, slice.clock.time),
    });
  for (const weak of ['1234567', 'Password2024!', 'Anna-Meyer-1999', 'lone \ud800 surrogate']) {
    await assert.rejects(finish(weak), refusal('password.weak'), weak);
  }
  await finish('pässwörter für 5 Katzen');
});

test('what is guessed first is weak, in any case and with digits at its end [URS-025]', () => {
  const person = { name: 'Anna Meyer-Groß', login: 'a.meyer@example.org' };
  const weak = [
    '',
    'short7!',
    'äöüäöüä',
    'aaaaaaaaaaaaaaaa',
    'abababababababab',
    '12345678',
    'qwertyuiop',
    'QwErTyUiOp',
    'password',
    'Password1',
    'WELCOME2024!!',
    'trialkeep',
    'Trialkeep123!',
    'annameyer',
    'Anna.Meyer.2024',
    'meyer12345678',
    'example.org',
    'x'.repeat(257),
  ];
  for (const each of weak) assert.ok(isWeakPassword(each, person), each);
  const good = [
    'correct horse battery staple',
    'meyer und die 40 räuber',
    'kT9#qpL2',
    'パスワードは長いほうがいい',
    '71935846',
  ];
  for (const each of good) assert.ok(!isWeakPassword(each, person), each);
});
