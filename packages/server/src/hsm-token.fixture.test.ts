import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RootSettings } from './roots/index.ts';

const library = '/usr/lib/softhsm/libsofthsm2.so';
/** Why the tests with a token cannot run here. */
export const skip = whySkip();
/** Longer than a slow machine needs. */
const timeoutSeconds = 60;

function whySkip(): string | false {
  if (!existsSync(library)) return 'SoftHSM is not installed (tools/test-services.sh)';
  try {
    createRequire(import.meta.url)('pkcs11js');
    return false;
  } catch {
    return 'pkcs11js is not installed or not built (tools/test-services.sh)';
  }
}

export interface SoftToken {
  readonly folder: string;
  readonly pin: string;
  readonly settings: RootSettings;
  readonly environment: { readonly SOFTHSM2_CONF: string };
  /** Where SoftHSM keeps its tokens. */
  readonly tokens: string;
}

/** Lets a data directory have its keys made in the token: hsm.json, and the PIN beside it. */
export function configureHsm(data: string, token: SoftToken, more: object = {}): void {
  const { module, token: which, environment } = token.settings as unknown as HsmFields;
  const settings = { format: 1, module, token: which, environment, timeoutSeconds, ...more };
  writeFileSync(join(data, 'hsm.json'), JSON.stringify(settings));
  writeFileSync(join(data, 'hsm-pin'), `${token.pin}\n`, { mode: 0o600 });
}

interface HsmFields {
  readonly module: string;
  readonly token: object;
  readonly environment: object;
}

/** A token of its own, and a folder for the root with its PIN. */
export function makeToken(t: TestContext, more: object = {}): SoftToken {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-pkcs11-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [tokens, root] = [join(folder, 'tokens'), join(folder, 'root')];
  for (const made of [tokens, root]) mkdirSync(made, { mode: 0o700 });
  const configuration = join(folder, 'softhsm2.conf');
  writeFileSync(
    configuration,
    `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const pin = randomBytes(6).toString('hex');
  const environment = { SOFTHSM2_CONF: configuration };
  const parts = ['--init-token', '--free', '--label', 'trialkeep', '--pin', pin, '--so-pin', 'officer12'];
  execFileSync('softhsm2-util', parts, { env: { ...process.env, ...environment }, stdio: 'ignore' });
  writeFileSync(join(root, 'pin'), `${pin}\n`, { mode: 0o600 });
  const settings: RootSettings = {
    kind: 'pkcs11',
    module: library,
    token: { label: 'trialkeep' },
    keyLabel: 'trialkeep root',
    timeoutSeconds,
    environment,
    ...more,
  };
  return { folder: root, pin, settings, environment, tokens };
}
