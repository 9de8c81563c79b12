/**
 * What is measured in a process of its own, for its memory or so that the load generator is not on its event loop:
 *
 *   child.ts make FOLDER SIZE            writes a log into the folder
 *   child.ts hashes|entries|payloads FOLDER
 *                                        verifies it; its verifier keys are in the environment, as is all below
 *   child.ts export FOLDER URL           exports a ledger from a server
 *   child.ts serve FOLDER DATABASE       an appender behind bare HTTP, each request an entry, until it is ended
 *
 * Answers are one JSON line.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verifyLog } from '@trialkeep/ledger';
import { createClient } from '@trialkeep/sdk/client';
import { exportLedger, folderSource, sha256, trustOf, verifyFolder } from '@trialkeep/sdk/verify';
import type { DatabaseName } from './installation.ts';

const [mode = '', folder = '', argument = ''] = process.argv.slice(2);
const verifierKey = (process.env['BENCH_VERIFIER_KEYS'] ?? '').split('\n');
const answer = (value: object): void => console.log(JSON.stringify(value));
const startMiB = process.memoryUsage.rss() / 2 ** 20;
const began = performance.now();

/** @param more seconds are those since the beginning where it says nothing else */
function answerCost(more: object): void {
  const seconds = (performance.now() - began) / 1000;
  answer({ seconds, startMiB, peakMiB: process.resourceUsage().maxRSS / 1024, ...more });
}

if (mode === 'make') {
  const { makeLogFolder } = await import('./log-folder.ts');
  answer({ verifierKeys: await makeLogFolder(folder, Number(argument)) });
} else if (mode === 'hashes') {
  const { logs } = trustOf(verifierKey);
  const { verdict, entriesChecked } = await verifyLog({
    sha256,
    verifiers: logs,
    source: folderSource(folder),
  });
  if (verdict === 'failed') throw new Error('The log does not verify.');
  answerCost({ entries: entriesChecked });
} else if (mode === 'entries' || mode === 'payloads') {
  const { verdict, entriesChecked, payloads } = await verifyFolder({ folder, verifierKey });
  if (verdict === 'failed') throw new Error('The log does not verify.');
  if (payloads.checked !== (mode === 'payloads' ? entriesChecked : 0)) {
    throw new Error('Other payloads were checked than were meant.');
  }
  answerCost({ entries: entriesChecked });
} else if (mode === 'export') {
  const client = createClient({ url: argument, credential: process.env['BENCH_CREDENTIAL'] ?? '' });
  let fetchedAt = began;
  const { entriesChecked, bytes, files } = await exportLedger(client, folder, {
    onProgress: (step) => {
      if (step === 'fetch') fetchedAt = performance.now();
    },
  });
  answerCost({ entries: entriesChecked, bytes, files, fetchSeconds: (fetchedAt - began) / 1000 });
} else {
  await serve(argument as DatabaseName);
}

async function serve(database: DatabaseName): Promise<void> {
  // A verifier's memory is measured without the server's code.
  const { openInstallation } = await import('./installation.ts');
  const { appendTo, draftsOf, follow } = await import('./appending.ts');
  const installation = await openInstallation(database, folder);
  const append = await appendTo(installation, { callers: 0, commit: 'group' });
  const seal = draftsOf(installation);
  const follower = follow(installation);
  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => {
      append(seal(), 0).then(
        (position) => response.end(String(position)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
  });
  server.listen(0, '127.0.0.1', () => {
    answer({ listening: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
  process.once('SIGTERM', () => {
    server.closeAllConnections();
    server.close();
    follower
      .end()
      .then(() => installation.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
  });
}
