import { openApiDocument, operations } from '@trialkeep/contract';
import type { OperationId } from '@trialkeep/contract';
import {
  Authenticator,
  Passwords,
  credentialImplementations,
  peopleImplementations,
} from './access/index.ts';
import { approvalImplementations, executionTask, recoverApproved } from './approvals/index.ts';
import {
  UnauthenticatedCounter,
  appendOwn,
  checkpointHandler,
  checkpointTask,
  completeLogKeys,
  ledgerImplementations,
  pruneHandler,
  pruneTask,
  recordUnauthenticated,
  retirementHandler,
  retirementTask,
  sealDraft,
} from './audit/index.ts';
import type { Ledger } from './audit/index.ts';
import { carryOutApproved } from './carry-out.ts';
import { Commits } from './commit.ts';
import { Effects, shredRemoval } from './effects/index.ts';
import { evidenceImplementations } from './evidence/index.ts';
import { Gate } from './gate.ts';
import type { GateNotes } from './gate.ts';
import { openInstance } from './instance/index.ts';
import type { OpenInstance } from './instance/index.ts';
import { keyImplementations, rotationHandler, rotationTask } from './keys/index.ts';
import type { KeyNaming } from './keys/index.ts';
import { payloadImplementations } from './payloads/index.ts';
import { systemClock } from './platform/clock.ts';
import type { Clock } from './platform/clock.ts';
import { FactsCache } from './platform/facts.ts';
import { createHttpServer, listen } from './platform/http.ts';
import type { Context, Implementations } from './platform/implementation.ts';
import { JobRunner } from './platform/jobs/index.ts';
import type { JobHandler } from './platform/jobs/index.ts';
import type { ServerLogger } from './platform/log.ts';
import { statedLimits } from './platform/profile.ts';
import { renderStatusPage } from './platform/status-page.ts';
import { followLogs, questionImplementations } from './questions/index.ts';
import { reconcile } from './reconcile.ts';
import { pendingLogs } from './recovery/index.ts';
import { reviewHandlers, reviewImplementations } from './reviews/index.ts';
import { signatureImplementations } from './signatures/index.ts';
import { signedDocuments } from './signed-document.ts';
import {
  completeSeals,
  findAccount,
  registryImplementations,
  sealImplementations,
  tenantImplementations,
} from './systems/index.ts';
import { makeTimestamps, timestampImplementations, timestampTask } from './timestamps/index.ts';
import type { Timestamps } from './timestamps/index.ts';
import { useImplementations } from './uses/index.ts';
import { version } from './version.ts';
import { PolicyFolder, Witnessing, askAtStart, waitForWitnesses } from './witnessing/index.ts';
import type { AskedAtStart, WitnessingOperationId, WitnessingParts } from './witnessing/index.ts';

/** A server that listens. */
export interface RunningServer {
  readonly url: string;
  readonly state: 'ready' | 'recovery';
  /** Why it is in recovery. */
  readonly reasons: readonly string[];
  /** Answers what is under way, writes what is left to record, and gives the data directory back. */
  close(): Promise<void>;
}

/** How often refusals of unknown callers are looked through. */
const unauthenticatedIntervalMs = 10_000;
/** How often every log is looked at for what other nodes have done and what is left to sign: the freshness of design section 4. */
const pollIntervalMs = 1000;

/** Reads the configuration, opens the database, wires the rooms together, listens. */
export async function startServer(options: {
  dataDirectory: string;
  host: string;
  port: number;
  logger: ServerLogger;
  /** Starts although the witnesses that a policy requires cannot be asked; the ledger says so. */
  withoutWitnesses?: boolean;
  /** Called when the server cannot go on. */
  onFatal: () => void;
}): Promise<RunningServer> {
  const { logger } = options;
  const onDown = (error: Error): void => {
    logger.fatal({ error: error.message }, 'The database can no longer be used.');
    options.onFatal();
  };
  const instance = await openInstance(options.dataDirectory, { clock: systemClock, notes: logger, onDown });
  try {
    if (!instance.reserve.held())
      logger.warn({}, 'There is no room for the reserve: revocation may fail on a full disk.');
    const ask = (): Promise<AskedAtStart> => askWitnesses(instance, logger);
    const asked = await ask();
    const certain = [
      ...instance.recovery,
      ...(await unfinishedCatchUp(instance)),
      ...(await reconcile(instance)),
      ...asked.contradictions,
      ...asked.forgotten,
    ];
    const isWaiting = certain.length === 0 && asked.unknown.length > 0 && options.withoutWitnesses !== true;
    // Emptied once the witnesses have answered: whoever holds it sees that.
    const recovery = options.withoutWitnesses === true ? certain : [...certain, ...asked.unknown];
    const rooms = wire({ ...instance, recovery }, { clock: systemClock, notes: logger });
    await rooms.witnessing.look();
    const status = async (): Promise<string> =>
      renderStatusPage(await rooms.status(), recovery, rooms.witnessing.summary());
    const http = createHttpServer(rooms.gate, status, logger);
    const url = await listen(http, options.host, options.port);
    // In recovery nothing is signed and nothing is done by itself.
    let work = recovery.length === 0 ? await beginWork(rooms, logger, asked) : undefined;
    const waiting = isWaiting
      ? waitForWitnesses(ask, async (answered) => {
          recovery.splice(0, recovery.length, ...answered.contradictions, ...answered.forgotten);
          if (recovery.length === 0) work = await beginWork(rooms, logger, answered);
        })
      : undefined;
    return {
      url,
      get state() {
        return recovery.length === 0 ? 'ready' : 'recovery';
      },
      reasons: recovery,
      close: async () => {
        await waiting?.end();
        await http.close();
        await work?.end();
        await instance.close();
      },
    };
  } catch (error) {
    await instance.close();
    throw error;
  }
}

/** Where entries from a mirror were copied, and the rows are not in line with them yet. */
async function unfinishedCatchUp({ database, ledger }: OpenInstance): Promise<string[]> {
  const pending = await database.read(pendingLogs);
  return pending.map(
    (id) => `Catching up log ${ledger.log(id).origin} was interrupted: run trialkeep self catch-up again.`,
  );
}

/** Asks the witnesses and mirrors of every policy what they know of the database; says who did not answer. */
async function askWitnesses(instance: OpenInstance, notes: GateNotes): Promise<AskedAtStart> {
  const folder = new PolicyFolder(instance.directory.anchor);
  const asked = await askAtStart({ ...instance, clock: systemClock, notes }, folder);
  for (const reason of asked.unreached) notes.warn({ reason }, 'It could not be asked about the database.');
  return asked;
}

/** Starts what a server does by itself beside answering requests. */
async function beginWork(
  rooms: Rooms,
  notes: GateNotes,
  { unknown }: AskedAtStart,
): Promise<{ end(): Promise<void> }> {
  const { ledger, facts, unauthenticated, jobs, effects, witnessing } = rooms;
  await completeSeals(rooms);
  await completeLogKeys(rooms);
  await recoverApproved(rooms.database);
  await effects.recover();
  await jobs.start(rooms.handlers);
  await witnessing.start();
  if (unknown.length > 0) await recordSkipped(rooms, unknown);
  let polling: Promise<void> | undefined;
  let indexing: Promise<void> | undefined;
  const poll = async (): Promise<void> => {
    try {
      await rooms.poll();
    } catch (error) {
      notes.warn({ error: String(error) }, 'The database could not be asked what is new; trying again.');
    } finally {
      polling = undefined;
    }
  };
  const record = (all: boolean): Promise<void> =>
    recordUnauthenticated(ledger, facts, unauthenticated.take(all), notes);
  const timers = [
    setInterval(() => {
      polling ??= poll();
    }, pollIntervalMs),
    setInterval(() => {
      indexing ??= followLogs(ledger, notes).finally(() => (indexing = undefined));
    }, pollIntervalMs),
    setInterval(() => void record(false), unauthenticatedIntervalMs),
  ];
  return {
    end: async () => {
      timers.forEach(clearInterval);
      await polling;
      await indexing;
      await jobs.stop();
      await witnessing.stop();
      await record(true);
      await ledger.stop();
      await anchorAll(ledger, notes);
    },
  };
}

/** Somebody had the server start although witnesses could not be asked whether the database is the newest. */
async function recordSkipped({ ledger, facts }: Rooms, unknown: readonly string[]): Promise<void> {
  const { id, origin, payloadKey } = ledger.instanceLog;
  const draft = { operation: 'witnessing.skip', outcome: 'success', recorded: {} } as const;
  await appendOwn(ledger, facts, id, sealDraft(draft, origin, { unknown }, payloadKey));
}

/** The last checkpoints before the end. A database that is away keeps nobody from stopping: another start signs them. */
async function anchorAll(ledger: Ledger, notes: GateNotes): Promise<void> {
  try {
    for (const log of ledger.logs) {
      await ledger.anchorNow(log.id);
      // The index too: another start then finds nothing to do.
      await log.integrate();
    }
  } catch (error) {
    notes.warn({ error: String(error) }, 'The last checkpoints could not be signed; the next start does it.');
  }
}

/** Everything that answers requests and works by itself. */
export type Rooms = ReturnType<typeof wire>;

/**
 * Wires the rooms of an opened instance together.
 *
 * @param options.hook puts other behaviour in the place of operations; for tests
 * @param options.passwords how passwords are hashed, where not as usual; for tests
 */
export function wire(
  instance: OpenInstance,
  options: {
    clock: Clock;
    notes: GateNotes;
    hook?: (bound: Implementations) => Implementations;
    passwords?: Passwords;
  },
) {
  const { database, hierarchy, ledger, shred } = instance;
  const { clock, notes, hook = (bound) => bound, passwords = new Passwords() } = options;
  const facts = makeFacts(instance);
  const authenticator = new Authenticator({
    database,
    hierarchy,
    facts,
    logOf: (id) => ledger.open(id),
    clock,
    passwords,
  });
  const jobs = new JobRunner({ database, clock, notes });
  const forget = (tenant: string): void => hierarchy.releaseTenant(tenant);
  const kinds = { 'shred.remove': shredRemoval({ shred, forget }) };
  const effects = new Effects({ database, hierarchy, ledger, facts, kinds });
  const parts = { ...instance, facts, authenticator, clock, notes };
  const timestamps = makeTimestamps(parts);
  const witnessing = makeWitnessing(parts, timestamps);
  const status = statusOf(instance, timestamps, witnessing);
  const implementations = hook({
    'instance.status': status,
    ...witnessing.implementations(),
    ...bind(instance, { authenticator, passwords, wake: () => jobs.wake() }),
  });
  const commits = new Commits(parts);
  const unauthenticated = new UnauthenticatedCounter(clock);
  const gate = new Gate({ ...parts, unauthenticated, implementations, commits, witnessing });
  const handlers: Record<string, JobHandler> = {
    [executionTask]: carryOutApproved({ ...parts, implementations, commits }),
    [rotationTask]: rotationHandler(parts),
    [checkpointTask]: checkpointHandler(ledger),
    [retirementTask]: retirementHandler(parts),
    [pruneTask]: pruneHandler(database),
    ...reviewHandlers(parts),
    [timestampTask]: timestamps.handler(),
    ...effects.handlers(),
  };
  const poll = async (): Promise<void> => {
    await facts.poll();
    await ledger.poll();
    await timestamps.poll();
    await witnessing.poll();
    jobs.wake();
  };
  return {
    database,
    hierarchy,
    gate,
    ledger,
    facts,
    unauthenticated,
    jobs,
    effects,
    witnessing,
    handlers,
    implementations,
    status,
    timestamps,
    poll,
  };
}

/** Another node may have destroyed keys where an epoch has moved on; what is still needed is unwrapped again. */
function makeFacts({ database, hierarchy, ledger }: OpenInstance): FactsCache {
  return new FactsCache(database, (log) => {
    const tenant = ledger.logs.find(({ id }) => id === log)?.tenant;
    if (tenant !== null && tenant !== undefined) hierarchy.releaseTenant(tenant);
  });
}

/** Has checkpoints cosigned, has those that leave the server carry that, and clocks compared with those of the cosigners. */
function makeWitnessing(
  parts: WitnessingParts & Pick<OpenInstance, 'directory'> & { readonly facts: FactsCache },
  timestamps: Timestamps,
): Witnessing {
  const observeClock = (source: string, time: number): void => timestamps.observeClock(source, time);
  const witnessing = new Witnessing({ ...parts, observeClock }, new PolicyFolder(parts.directory.anchor));
  parts.ledger.presentWith((id, covering) => witnessing.present(id, covering));
  return witnessing;
}

/** Binds every operation of the contract; the compiler refuses a contract with an operation that nothing implements. */
function bind(
  instance: OpenInstance,
  {
    authenticator,
    passwords,
    wake,
  }: { authenticator: Authenticator; passwords: Passwords; wake: () => void },
): Omit<Implementations, 'instance.status' | WitnessingOperationId> {
  const { configuration, database, hierarchy, ledger } = instance;
  const accounts = new Map<string, Promise<string>>();
  const naming = async (tenant: string): Promise<KeyNaming> => {
    const account = accounts.get(tenant) ?? database.read((snapshot) => findAccount(snapshot, tenant));
    accounts.set(tenant, account);
    account.catch(() => accounts.delete(tenant));
    return { region: configuration.region, account: await account };
  };
  const keysOf = async ({ caller, facts }: Context<OperationId>): Promise<ReadonlySet<string>> =>
    (await authenticator.credential(facts, caller.log, caller.actor))?.keys ?? new Set();
  return {
    'instance.openapi': async () => openApiDocument(Object.values(operations), version),
    ...tenantImplementations({ hierarchy, ledger, origin: configuration.origin }),
    ...sealImplementations(hierarchy),
    ...registryImplementations({ hierarchy, wake }),
    ...credentialImplementations(hierarchy),
    ...peopleImplementations({ hierarchy, passwords }),
    ...approvalImplementations({ hierarchy, ledger, wake }),
    ...signatureImplementations({ hierarchy, documentOf: signedDocuments({ hierarchy, ledger }) }),
    ...keyImplementations({ hierarchy, naming, keysOf }),
    ...timestampImplementations(database),
    ...useImplementations(hierarchy),
    ...payloadImplementations({ database, hierarchy, ledger }),
    ...reviewImplementations({ database, hierarchy, ledger, wake }),
    ...questionImplementations({ database, ledger }),
    ...evidenceImplementations({ database, hierarchy, ledger }),
    ...ledgerImplementations({ database, hierarchy, ledger, wake }),
  };
}

function statusOf(
  { configuration, database, ledger, recovery, root }: OpenInstance,
  timestamps: Timestamps,
  witnessing: Witnessing,
) {
  const isWitnessed = (): boolean => witnessing.summary().withCosigners === ledger.logs.length;
  return async () => ({
    state: recovery.length === 0 ? ('ready' as const) : ('recovery' as const),
    profile: configuration.profile,
    version,
    rootOfTrust: root.kind,
    limits: [
      ...statedLimits(configuration.profile, database.dialect, isWitnessed()),
      ...(await timestamps.limits()),
    ],
  });
}
