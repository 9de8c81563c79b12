// Plain JavaScript, so that an older Node can run it as far as the refusal.
import { mkdirSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Compiled code is kept in a folder of the user's own: whoever can write to it decides what this process runs. */
function enableCompileCache() {
  const set = process.env.XDG_CACHE_HOME;
  const folder = join(set && isAbsolute(set) ? set : join(homedir(), '.cache'), 'trialkeep', 'compile-cache');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch {
    return;
  }
  module.enableCompileCache(folder);
}

if (process.versions.node.split('.')[0] === '24') {
  enableCompileCache();
  await import('../src/main.ts');
} else {
  const code = 'cli.node_version';
  const message = `Trialkeep runs on Node 24, and this is ${process.versions.node}.`;
  const fix =
    'Run npm ci where Trialkeep is installed, without leaving optional dependencies out, or install Node 24.';
  const asJson = process.argv.includes('--json');
  const text = asJson
    ? JSON.stringify({ error: { code, message, fix } })
    : `error: ${message} [${code}]\nfix: ${fix}`;
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}
