import { join } from 'node:path';
import { createClient } from '@trialkeep/sdk/client';
import type { Io } from '../io.ts';
import { writeOut } from '../io.ts';
import { humanBytes } from '../output.ts';
import { catalogue } from '../study/catalogue.ts';
import type { StudyFile, SystemKind } from '../study/catalogue.ts';
import { skipReasons } from '../study/walk.ts';
import { generateSampleStudy, sampleProtocolNumber, sampleTitle } from '../study/sample.ts';
import { loseAndRestore } from './continuity.ts';
import { alterCopy, askForReleases, exportTo, keepCheckpoint, verifyApart } from './evidence.ts';
import { Installation } from './installation.ts';
import { register, systemKinds } from './register.ts';
import type { Registered } from './register.ts';
import { held } from './report.ts';
import type { Report } from './report.ts';
import { revokeWhileUsed } from './revocation.ts';
import { openAll, sealAll, systemClients } from './seal-all.ts';
import type { SealedEntry } from './seal-all.ts';
import { Story, amount } from './story.ts';

export interface StartOptions {
  readonly io: Io;
  /** The folder to work on; a sample study is generated where none is named. */
  readonly folder: string | undefined;
  /** Ends after the main job. */
  readonly once: boolean;
  readonly json: boolean;
  readonly dataDirectory: string;
  readonly port: number;
}

/** A run on its way. */
interface Run {
  readonly options: StartOptions;
  readonly story: Story;
  readonly installation: Installation;
}

/** Starts Trialkeep, runs the main job once, and stays up unless asked not to. Gives the exit status. */
export async function runStart(options: StartOptions): Promise<number> {
  const { io, json } = options;
  const story = new Story(io, json);
  const source = await chooseSource(options, story);
  const installation = await Installation.prepare(io, options.dataDirectory, options.port);
  const run: Run = { options, story, installation };
  try {
    const server = await installation.start();
    describeInstallation(run, server.url);
    const report = await mainJob(run, source);
    const ok = held(report);
    if (json) await writeOut(io, `${JSON.stringify(report)}\n`);
    summarise(run, report, ok);
    if (options.once) return ok ? 0 : 1;
    await stayUp(run);
    return ok ? 0 : 1;
  } finally {
    await installation.stop();
  }
}

interface Source {
  readonly folder: string;
  readonly files: readonly StudyFile[];
  readonly protocol: string;
  readonly title: string;
}

/** The folder that the user names, or the sample study, beside the data directory and not in it: it is plaintext. */
async function chooseSource({ folder, dataDirectory }: StartOptions, story: Story): Promise<Source> {
  if (folder !== undefined) {
    const { files, skipped } = await catalogue(folder);
    // By reason only: a path may itself identify somebody.
    const reasons = Map.groupBy(skipped, ({ reason }) => reason);
    for (const [reason, { length }] of reasons) story.line(`${length} skipped: ${skipReasons[reason]}`);
    return { folder, files, protocol: 'TK-FOLDER', title: 'Folder named on the command line' };
  }
  const target = `${dataDirectory}-sample-study`;
  const bar = await story.progress('Generating the sample study', 'bytes');
  const study = await generateSampleStudy(target, { onProgress: (done, total) => bar.update(done, total) });
  bar.stop();
  const made = study.generated ? 'generated in' : 'is already in';
  story.line(`The sample study (${study.files} files, ${humanBytes(study.bytes)}) ${made} ${target}.`);
  const { files } = await catalogue(target);
  return { folder: target, files, protocol: sampleProtocolNumber, title: sampleTitle };
}

function describeInstallation({ story, installation }: Run, url: string): void {
  const { dataDirectory, passphraseFile, isNew } = installation;
  story.line('');
  if (isNew) {
    story.line(
      `A new installation was made in ${dataDirectory}, profile evaluation: to try Trialkeep, not for real data.`,
    );
    story.line(`Its root of trust is a random passphrase in ${passphraseFile} (mode 0600), beside the data.`);
    story.line(
      "The administrator's credential is in administrator.credential there (mode 0600), for further runs.",
    );
  } else {
    story.line(`The installation in ${dataDirectory} is used again.`);
  }
  story.line(`The server listens on ${url}.`);
}

async function mainJob(run: Run, source: Source): Promise<Report> {
  const { installation, story } = run;
  const { url } = installation.server;
  const registered = await setUp(run, source);
  const kept = join(installation.runFolder, 'kept.checkpoint');
  await keepCheckpoint(url, registered, kept);

  const { sealed, seconds, rotated } = await sealWithRotation(run, source, registered);
  const opened = await openEverything(run, registered, sealed);
  const olderBackup = await installation.backup('before-revocation');
  const revoked = await revoke(run, registered);
  const ledger = await examineLedger(run, registered, source.files, kept);
  const restored = await continuity(run, registered, sealed, olderBackup);
  story.line('');
  const bytes = sealed.reduce((sum, entry) => sum + entry.bytes, 0);
  return {
    sealed: { files: sealed.length, bytes, seconds: Math.round(seconds * 1000) / 1000 },
    opened: { files: sealed.length, identical: opened },
    rotated,
    revoked,
    ledger,
    restored,
    dataDirectory: installation.dataDirectory,
  };
}

async function setUp({ installation, story }: Run, source: Source): Promise<Registered> {
  story.chapter('A tenant, a study, four systems, each with its own credential and its own key');
  const run = installation.runFolder.split('/').at(-1) ?? '';
  const registered = await register(
    installation.server.url,
    installation.administrator,
    { tenantName: `Example sponsor, run ${run}`, protocol: source.protocol, title: source.title },
    source.files,
  );
  story.line(`Tenant "${registered.tenant.name}"; its ledger is ${registered.tenant.origin}.`);
  for (const kind of systemKinds)
    story.line(`${registered.systems[kind].name}: key ${registered.systems[kind].key}.`);
  story.line(`${registered.aliases.size} subjects, known from here on by random aliases only.`);
  return registered;
}

/**
 * The system whose key is rotated in the middle of the work: the one with the most files, and the wearable gateway, whose key is
 * revoked later, only where nothing else has any.
 */
function systemToRotate(files: readonly StudyFile[]): SystemKind {
  const count = (kind: SystemKind): number => files.filter(({ system }) => system === kind).length;
  const others = systemKinds.filter((kind) => kind !== 'wearable' && count(kind) > 0);
  return others.reduce<SystemKind>(
    (most, kind) => (count(kind) > count(most) ? kind : most),
    others[0] ?? 'wearable',
  );
}

/**
 * Seals everything, and rotates one key half-way through that key's files, so that files lie under both versions. A lone
 * file is sealed twice, once under each.
 */
async function sealWithRotation({ installation, story }: Run, source: Source, registered: Registered) {
  const { url } = installation.server;
  const total = source.files.reduce((sum, file) => sum + file.bytes, 0);
  story.chapter(`Sealing ${source.files.length} files (${humanBytes(total)}), one key rotated in the middle`);
  const kind = systemToRotate(source.files);
  const own = source.files.filter(({ system }) => system === kind);
  const before = source.files.filter(
    (file) => file.system !== kind || own.indexOf(file) < Math.ceil(own.length / 2),
  );
  const after = own.length === 1 ? own : own.slice(Math.ceil(own.length / 2));

  const clients = systemClients(url, registered);
  const folders = { source: source.folder, target: join(installation.runFolder, 'sealed') };
  const bar = await story.progress('Sealing', 'bytes');
  let done = 0;
  const onFile = (bytes: number): void => bar.update((done += bytes), Math.max(total, done));
  const started = performance.now();
  const sealed = await sealAll(clients, registered, before, folders, onFile);
  const custodian = createClient({ url, credential: registered.custodian });
  const { key } = registered.systems[kind];
  const rotated = await custodian.call('keys.rotate', {
    key,
    reason: 'Rotation half-way through the main job.',
  });
  sealed.push(...(await sealAll(clients, registered, after, folders, onFile)));
  const seconds = (performance.now() - started) / 1000;
  bar.stop();

  const rates = `${amount(sealed.length / seconds)} files/s, ${(done / 1e6 / seconds).toFixed(1)} MB/s`;
  story.line(`${sealed.length} files sealed in ${seconds.toFixed(1)} s (${rates}) in ${folders.target}.`);
  story.line(
    `The ${registered.systems[kind].name} key went from version ${rotated.version - 1} to ${rotated.version}.`,
  );
  return { sealed, seconds, rotated: { key, from: rotated.version - 1, to: rotated.version } };
}

async function openEverything(
  { installation, story }: Run,
  registered: Registered,
  sealed: readonly SealedEntry[],
) {
  story.chapter('Opening every file again, under both versions of the rotated key');
  const total = sealed.reduce((sum, entry) => sum + entry.bytes, 0);
  const bar = await story.progress('Opening', 'bytes');
  let done = 0;
  const clients = systemClients(installation.server.url, registered);
  const identical = await openAll(clients, sealed, (bytes) => bar.update((done += bytes), total));
  bar.stop();
  story.proof(
    identical === sealed.length,
    `${identical} of ${sealed.length} files are byte-identical (SHA-256 compared).`,
  );
  return identical;
}

async function revoke({ installation, story }: Run, registered: Registered) {
  story.chapter("The wearable gateway's key is revoked while its client runs");
  const seen = await revokeWhileUsed(installation.server.url, registered);
  story.line(`The client had ${seen.answered} readings encrypted before the revocation.`);
  story.proof(seen.refused, `Its next request was refused: ${seen.code}.`);
  return { key: seen.key, refused: seen.refused, code: seen.code };
}

async function examineLedger(
  { installation, story, options }: Run,
  registered: Registered,
  files: readonly StudyFile[],
  kept: string,
): Promise<Report['ledger']> {
  story.chapter('The ledger: a question, an export, a verification without the server, a forgery');
  const { url } = installation.server;
  const about = files.find((file) => file.dataClass === 'ecg' && file.subjectNumber !== undefined);
  const file = about ?? files.find(({ subjectNumber }) => subjectNumber !== undefined);
  const answer = file && (await askForReleases(url, registered, file));
  if (answer === undefined) {
    story.line('No file belongs to one subject, so there is no subject to ask about.');
  } else {
    story.line(
      `Every key release for subject ${answer.subject}, class ${answer.class}: entries ${answer.positions.join(', ')}.`,
    );
    story.line(`(Complete up to ${amount(answer.size)} entries: anybody can recompute it from the export.)`);
  }
  const directory = join(installation.runFolder, 'ledger');
  const entries = await exportTo(url, registered, directory);
  const { verifierKey, origin } = registered.tenant;
  const verdict = await verifyApart(options.io, directory, verifierKey, kept);
  const verified = verdict.status === 0 && verdict.verdict === 'verified';
  story.proof(
    verified,
    `${amount(entries)} entries verified by another process, with the folder, the key and the checkpoint kept at the start.`,
  );

  const position = answer?.positions.at(-1) ?? Math.floor(entries / 2);
  const forged = join(installation.runFolder, 'ledger-forged');
  await alterCopy(directory, forged, position, entries);
  const caught = await verifyApart(options.io, forged, verifierKey, kept);
  const named = caught.status !== 0 && caught.index === position;
  story.proof(
    named,
    `One byte of entry ${position} changed in a copy, and the verifier says: ${caught.sentence}`,
  );
  return { origin, entries, verified, tamperDetectedAt: named ? position : null, directory, verifierKey };
}

async function continuity(
  { installation, story }: Run,
  registered: Registered,
  sealed: readonly SealedEntry[],
  olderBackup: string,
): Promise<Report['restored']> {
  story.chapter(
    "The server's state is backed up, deleted and restored; then an older copy is put in its place",
  );
  const seen = await loseAndRestore(installation, registered, sealed, olderBackup);
  const identical = seen.identical === seen.opened;
  story.proof(identical, `${seen.identical} of ${seen.opened} files open after the restore, byte-identical.`);
  story.proof(seen.stillRevoked, 'The revoked key is still refused.');
  story.proof(
    seen.rollbackNoticed,
    'The older copy, from before the revocation, is noticed; no key can be used under it.',
  );
  for (const reason of seen.reasons) story.line(`The server: "${reason}"`);
  story.line('The present state is back in its place.');
  return { identical, stillRevoked: seen.stillRevoked, rollbackNoticed: seen.rollbackNoticed };
}

function summarise({ story, installation }: Run, report: Report, ok: boolean): void {
  story.line(ok ? 'All of it held.' : 'NOT all of it held; see above.');
  story.line(`Sealed files, ledger, backups: ${installation.runFolder}`);
  story.line(`Verify it yourself:  trialkeep verify ${report.ledger.directory} \\`);
  story.line(
    `    --checkpoint ${join(installation.runFolder, 'kept.checkpoint')} --key '${report.ledger.verifierKey}'`,
  );
}

/** Serves until the process is asked to end, or the server ends by itself. */
async function stayUp({ story, installation, options }: Run): Promise<void> {
  const { server } = installation;
  story.line('');
  story.line(`The server stays up: ${server.url}/ (status), ${server.url}/openapi.json. Ctrl-C ends it.`);
  const { signal } = options.io;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
    void server.ended.then(() => resolve());
  });
}
