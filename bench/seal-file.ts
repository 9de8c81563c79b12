/**
 * Sealing and opening one file, `trialkeep` beside `age` and the AWS Encryption SDK for JavaScript (with frames of 4 KiB, its default,
 * and of 1 MiB): whole processes, alternating, one after the other. Ours asks a running
 * server for its data key and leaves an entry in the ledger each time.
 *
 *   node bench/seal-file.ts [--mib 1024] [--rounds 5] [--folder DIR] [--without-aws]
 */
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startBenchServer } from './bench-server.ts';
import { machine, measureProcess, median, spread } from './measure.ts';
import type { Cost } from './measure.ts';
import { peerVersion } from './peers.ts';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '5' },
    folder: { type: 'string', default: tmpdir() },
    'without-aws': { type: 'boolean', default: false },
  },
});
const mib = Number(values.mib);
const rounds = Number(values.rounds);
const trialkeep = fileURLToPath(new URL('../packages/cli/bin/trialkeep', import.meta.url));
const awsScript = fileURLToPath(new URL('aws-encryption-sdk.ts', import.meta.url));
const ageVersion = peerVersion('age');
if (ageVersion === undefined)
  console.log('age is not on PATH (tools/test-services.sh installs it): only ours is measured.');

const folder = mkdtempSync(join(values.folder, 'trialkeep-bench-'));
const plain = join(folder, 'plain');
const server = await startBenchServer(join(folder, 'data'));
try {
  writeRandomFile(plain, mib);
  const env = { ...process.env, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: server.credential };
  const identity = join(folder, 'identity');
  const recipient = ageVersion === undefined ? '' : makeAgeIdentity(identity);
  const ours = { sealed: join(folder, 'ours.sealed'), opened: join(folder, 'ours.opened') };
  const theirs = { sealed: join(folder, 'theirs.age'), opened: join(folder, 'theirs.opened') };
  const steps: Record<string, () => Promise<Cost>> = {
    'trialkeep seal': () =>
      measureProcess(
        trialkeep,
        ['seal', plain, '--key', server.key, '--out', ours.sealed, '--overwrite'],
        env,
      ),
    'trialkeep open': () =>
      measureProcess(trialkeep, ['open', ours.sealed, '--out', ours.opened, '--overwrite'], env),
  };
  if (ageVersion !== undefined) {
    steps['age encrypt'] = () => measureProcess('age', ['-r', recipient, '-o', theirs.sealed, plain]);
    steps['age decrypt'] = () =>
      measureProcess('age', ['-d', '-i', identity, '-o', theirs.opened, theirs.sealed]);
  }
  if (!values['without-aws']) {
    const aws = { sealed: join(folder, 'aws.sealed'), opened: join(folder, 'aws.opened') };
    for (const frame of ['4096', '1048576']) {
      const run = (...args: string[]) => measureProcess(process.execPath, [awsScript, ...args, frame]);
      steps[`aws encrypt ${frame}`] = () => run('encrypt', plain, aws.sealed);
      steps[`aws decrypt ${frame}`] = () => run('decrypt', aws.sealed, aws.opened);
    }
  }
  const costs = new Map(Object.keys(steps).map((name) => [name, [] as Cost[]]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, step] of Object.entries(steps)) {
      const cost = await step();
      // The first round fills the caches.
      if (round > 0) costs.get(name)?.push(cost);
    }
  }
  console.log(
    `${mib} MiB, ${rounds} rounds, ${machine()}${ageVersion === undefined ? '' : `, age ${ageVersion}`}`,
  );
  console.log('step                  wall s, median (range)   CPU s   peak MiB');
  for (const [name, measured] of costs) {
    const wall = spread(measured.map(({ seconds }) => seconds));
    const cpu = median(measured.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2);
    const peak = Math.max(...measured.map(({ peakMiB }) => peakMiB)).toFixed(0);
    console.log(`${name.padEnd(22)}${wall.padEnd(25)}${cpu.padEnd(8)}${peak}`);
  }
  const ratio = (theirs: string, ours: string): string => (wallOf(theirs) / wallOf(ours)).toFixed(2);
  const wallOf = (name: string): number => median((costs.get(name) ?? []).map(({ seconds }) => seconds));
  if (ageVersion !== undefined) {
    console.log(`seal: ${ratio('age encrypt', 'trialkeep seal')} × age`);
    console.log(`open: ${ratio('age decrypt', 'trialkeep open')} × age`);
  }
  if (!values['without-aws']) {
    for (const frame of ['4096', '1048576']) {
      console.log(
        `seal: ${ratio(`aws encrypt ${frame}`, 'trialkeep seal')} × the AWS Encryption SDK, ${frame}`,
      );
      console.log(
        `open: ${ratio(`aws decrypt ${frame}`, 'trialkeep open')} × the AWS Encryption SDK, ${frame}`,
      );
    }
  }
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

function writeRandomFile(path: string, size: number): void {
  const file = openSync(path, 'w');
  const piece = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < size; i++) writeSync(file, randomFillSync(piece));
  fsyncSync(file);
  closeSync(file);
}

/** Makes an identity and gives its recipient. */
function makeAgeIdentity(path: string): string {
  execFileSync('age-keygen', ['-o', path], { stdio: 'ignore' });
  return execFileSync('age-keygen', ['-y', path], { encoding: 'utf8' }).trim();
}
