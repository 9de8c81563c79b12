/** `npm run check`: everything that CI looks at. The tests come last, so that their counts close the output. */
import { spawnSync } from 'node:child_process';
import { delimiter, resolve } from 'node:path';

const steps = [
  { name: 'format', command: ['prettier', '--check', '.'] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'lint', command: ['oxlint'] },
  { name: 'generated docs', command: ['node', 'tools/docs.ts', '--check'] },
  { name: 'verify page', command: ['node', 'tools/verify-page.ts', '--check'] },
  { name: 'tests', command: ['node', 'tools/test.ts'], shown: true },
];

const env = { ...process.env, PATH: `${resolve('node_modules/.bin')}${delimiter}${process.env['PATH']}` };

/** Runs one step and says how long it took; what it prints is shown if it fails, or as it comes where that is wanted. */
function pass({ name, command: [program = '', ...options], shown = false }: (typeof steps)[number]): boolean {
  if (shown) console.log(`${name} …`);
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, options, {
    env,
    encoding: 'utf8',
    stdio: shown ? 'inherit' : 'pipe',
    maxBuffer: 64 * 1024 * 1024,
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (status === 0) {
    if (!shown) console.log(`✔ ${name} ${seconds} s`);
    return true;
  }
  if (!shown) console.error(`${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`.trim());
  console.error(`✖ ${name} ${seconds} s`);
  return false;
}

process.exitCode = steps.every(pass) ? 0 : 1;
