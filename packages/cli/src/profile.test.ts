import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CliError } from './errors.ts';
import type { CliErrorCode } from './errors.ts';
import { inFolder } from './fixture.test.ts';
import { findProfile, profilePath, removeSession, reserveProfile } from './profile.ts';

const profile = { url: 'https://keys.example.org', credential: 'tkc_canary' };

async function refusedWith(promise: Promise<unknown>, code: CliErrorCode): Promise<void> {
  const error: unknown = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CliError, String(error));
  assert.equal(error.code, code, error.message);
  assert.ok(
    !`${error.message}${error.fix}${String(error.cause)}`.includes('canary'),
    'a secret is in the error',
  );
}

async function withProfiles(
  content: unknown,
  work: (env: { XDG_CONFIG_HOME: string }, path: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const env = { XDG_CONFIG_HOME: folder };
    const path = profilePath(env);
    await mkdir(dirname(path), { recursive: true });
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    if (content !== undefined) await writeFile(path, text, { mode: 0o600 });
    await work(env, path);
  });
}

test('a profile that is saved is found again, and its file is for its owner only [URS-012]', async () => {
  await inFolder(async (folder) => {
    const env = { HOME: folder };
    for (const name of ['default', 'edc']) {
      const reserved = await reserveProfile(env, name);
      await reserved.save({ ...profile, credential: `tkc_${name}` });
      await reserved.release();
    }
    const path = join(folder, '.config', 'trialkeep', 'profiles.json');
    assert.equal(profilePath(env), path);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(dirname(path))).mode & 0o777, 0o700);
    assert.deepEqual(await readdir(dirname(path)), ['profiles.json']);
    assert.equal((await findProfile(env, undefined)).credential, 'tkc_default');
    assert.equal((await findProfile(env, 'edc')).credential, 'tkc_edc');
  });
});

test('a profile file that others can touch, or that is not our own, is not used [URS-012]', async () => {
  await withProfiles({ profiles: { default: profile } }, async (env, path) => {
    for (const mode of [0o640, 0o604, 0o620, 0o666, 0o601]) {
      await chmod(path, mode);
      await refusedWith(findProfile(env, undefined), 'cli.profile_exposed');
      await refusedWith(reserveProfile(env, 'other'), 'cli.profile_exposed');
    }
    await chmod(path, 0o400);
    assert.deepEqual(await findProfile(env, undefined), profile);
    await rm(path);
    await mkdir(path);
    await refusedWith(findProfile(env, undefined), 'cli.profile_foreign');
  });
});

test('a profile file of another account is not used [URS-012]', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only the superuser can give a file to another account');
  const { chown } = await import('node:fs/promises');
  await withProfiles({ profiles: { default: profile } }, async (env, path) => {
    await chown(path, 12_345, 12_345);
    await refusedWith(findProfile(env, undefined), 'cli.profile_foreign');
  });
});

test('a profile file of another form is refused without quoting it', async () => {
  const contents: unknown[] = [
    '',
    '{"profiles":{"default":{"url":"x","credential":"tkc_canary"}}',
    [],
    {},
    { profiles: [] },
    { profiles: { default: null } },
    { profiles: { default: { ...profile, more: 1 } } },
    { profiles: { default: { url: profile.url, credential: 7 } } },
    { profiles: { default: { ...profile, sessionUntil: '2030-01-31' } } },
    { profiles: { default: { ...profile, sessionUntil: 1.5 } } },
    { profiles: { default: profile }, more: 1 },
    { profiles: { 'a b': profile } },
  ];
  for (const content of contents) {
    await withProfiles(content, (env) => refusedWith(findProfile(env, undefined), 'cli.profile_malformed'));
  }
});

test('the environment comes before the default profile, and after a profile that is named', async () => {
  await withProfiles(
    { profiles: { default: profile, edc: { ...profile, credential: 'tkc_edc' } } },
    async (env) => {
      const fromEnv = { ...env, TRIALKEEP_URL: 'http://127.0.0.1:1', TRIALKEEP_CREDENTIAL: 'tkc_env' };
      assert.deepEqual(await findProfile(fromEnv, undefined), {
        url: 'http://127.0.0.1:1',
        credential: 'tkc_env',
      });
      assert.equal((await findProfile(fromEnv, 'edc')).credential, 'tkc_edc');
      const half = { ...env, TRIALKEEP_CREDENTIAL: 'tkc_env' };
      await refusedWith(findProfile(half, undefined), 'cli.no_credential');
      await refusedWith(findProfile(env, 'none'), 'cli.profile_unknown');
      await refusedWith(findProfile(env, '__proto__'), 'cli.profile_unknown');
    },
  );
  await withProfiles(undefined, (env) => refusedWith(findProfile(env, undefined), 'cli.no_credential'));
});

test('a name that is taken or no name is refused before a secret is made, and nothing changes', async () => {
  await withProfiles({ profiles: { default: profile } }, async (env, path) => {
    const before = await readFile(path, 'utf8');
    await refusedWith(reserveProfile(env, 'default'), 'cli.profile_exists');
    for (const name of ['', '../x', '__proto__', 'a b', 'x'.repeat(65)]) {
      await refusedWith(reserveProfile(env, name), 'cli.profile_name');
    }
    const given = await reserveProfile(env, 'given-up');
    await given.release();
    assert.equal(await readFile(path, 'utf8'), before);
    assert.deepEqual(await readdir(dirname(path)), ['profiles.json']);
  });
});

test('profiles that are saved at the same time are all kept', async () => {
  await withProfiles(undefined, async (env, path) => {
    await Promise.all(
      Array.from({ length: 5 }, async (_, index) => {
        const reserved = await reserveProfile(env, `p${index}`);
        await reserved.save(profile);
        await reserved.release();
      }),
    );
    const { profiles } = JSON.parse(await readFile(path, 'utf8')) as { profiles: object };
    assert.deepEqual(Object.keys(profiles).sort(), ['p0', 'p1', 'p2', 'p3', 'p4']);
  });
});

test('a session takes the place of a session alone, and only a session is taken out [URS-012]', async () => {
  await withProfiles({ profiles: { default: profile } }, async (env) => {
    const replaceSession = true;
    await refusedWith(reserveProfile(env, 'default', { replaceSession }), 'cli.profile_exists');
    for (const sessionUntil of [1, 2]) {
      const reserved = await reserveProfile(env, 'ada', { replaceSession });
      await reserved.save({ ...profile, sessionUntil });
      await reserved.release();
    }
    await refusedWith(reserveProfile(env, 'ada'), 'cli.profile_exists');
    assert.deepEqual(await findProfile(env, 'ada'), { ...profile, sessionUntil: 2 });
    assert.deepEqual(
      [
        await removeSession(env, 'default'),
        await removeSession(env, 'none'),
        await removeSession(env, 'ada'),
      ],
      [false, false, true],
    );
    await refusedWith(findProfile(env, 'ada'), 'cli.profile_unknown');
    assert.deepEqual(await findProfile(env, 'default'), profile);
    assert.equal(await removeSession(env, 'ada'), false, 'and the file can be written again');
  });
});
