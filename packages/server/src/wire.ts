import { openApiDocument, operations } from '@trialkeep/contract';
import type { OperationId } from '@trialkeep/contract';
import {
  Authenticator,
  Passwords,
  credentialImplementations,
  peopleImplementations,
} from './access/index.ts';
import { approvalImplementations, executionTask } from './approvals/index.ts';
import {
  UnauthenticatedCounter,
  checkpointHandler,
  checkpointTask,
  ledgerImplementations,
  pruneHandler,
  pruneTask,
  retirementHandler,
  retirementTask,
} from './audit/index.ts';
import { carryOutApproved } from './carry-out.ts';
import type { CarryOutParts } from './carry-out.ts';
import { ceremonyRecorder } from './ceremony/index.ts';
import { Commits } from './commit.ts';
import { Rewraps, dataKeyImplementations } from './data-keys/index.ts';
import { Effects, beginEffect, settleWith } from './effects/index.ts';
import {
  completionHandler,
  completionTask,
  lookAgain,
  renewalHandler,
  renewalTask,
  shredRemoval,
  studyErasureHandler,
  studyErasureImplementations,
  studyErasureTask,
  studyRemoval,
} from './erasure/index.ts';
import { evidenceImplementations } from './evidence/index.ts';
import { exportEndHandler, exportEndTask, exportImplementations } from './exports/index.ts';
import { exitImplementations, shreddingHandler, shreddingTask } from './exit/index.ts';
import { Gate } from './gate.ts';
import type { GateNotes } from './gate.ts';
import { holderImplementations } from './holders/index.ts';
import { HoldCheck, holdImplementations } from './holds/index.ts';
import type { OpenInstance } from './instance/index.ts';
import { inventoryImplementations } from './inventory/index.ts';
import {
  destructionHandler,
  destructionTask,
  importEndHandler,
  importEndTask,
  keyImplementations,
  ObjectWatch,
  objectEffect,
  objectSettlement,
  policyHandler,
  policyTask,
  protectionPolicy,
  rotationHandler,
  rotationTask,
} from './keys/index.ts';
import type { KeyNaming } from './keys/index.ts';
import { makeNaming, namingOfAccessKeys } from './key-naming.ts';
import { payloadImplementations } from './payloads/index.ts';
import type { Clock } from './platform/clock.ts';
import { FactsCache } from './platform/facts.ts';
import { newId } from './platform/ids.ts';
import type { Context, Implementations } from './platform/implementation.ts';
import { JobRunner } from './platform/jobs/index.ts';
import type { JobHandler } from './platform/jobs/index.ts';
import { Readiness } from './platform/readiness.ts';
import { processFacts, statedExposure } from './platform/process/index.ts';
import { statedLimits } from './platform/profile.ts';
import { rootText } from './platform/status-page.ts';
import { questionImplementations } from './questions/index.ts';
import { drillHandlers, overdueDrills, revocationImplementations } from './revocations/index.ts';
import { reviewHandlers, reviewImplementations } from './reviews/index.ts';
import { rootPermitImplementations } from './root-permits/index.ts';
import { SecondRecipients, secondRecipientImplementations } from './second-recipients/index.ts';
import { signatureImplementations } from './signatures/index.ts';
import { signedDocuments } from './signed-document.ts';
import { registryImplementations, sealImplementations, tenantImplementations } from './systems/index.ts';
import { RootRecorder, tenantRootImplementations } from './tenant-roots/index.ts';
import { makeTimestamps, timestampImplementations, timestampTask } from './timestamps/index.ts';
import type { Timestamps } from './timestamps/index.ts';
import { useImplementations } from './uses/index.ts';
import { version } from './version.ts';
import { PolicyFolder, Witnessing } from './witnessing/index.ts';
import type { WitnessingOperationId, WitnessingParts } from './witnessing/index.ts';

const objectEffects = { begin: beginEffect, settle: settleWith };

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
  const { database, hierarchy, ledger } = instance;
  const { clock, notes, hook = (bound) => bound, passwords = new Passwords() } = options;
  const facts = makeFacts(instance, notes);
  const authenticator = new Authenticator({
    database,
    hierarchy,
    facts,
    logOf: (id) => ledger.open(id),
    clock,
    passwords,
  });
  const naming = makeNaming(instance);
  const jobs = new JobRunner({ database, clock, notes });
  const effects = makeEffects(instance, facts);
  const parts = { ...instance, facts, authenticator, clock, notes, objectEffects };
  const timestamps = makeTimestamps(parts);
  const witnessing = makeWitnessing(parts, timestamps);
  const rewraps = new Rewraps(parts);
  const rootRecorder = new RootRecorder({ ...parts, leases: instance.tenantRoots.leases });
  const readiness = new Readiness({ ...instance, notes });
  const objects = new ObjectWatch({ ...parts, policy: protectionPolicy(instance.configuration, hierarchy) });
  const status = statusOf(instance, { timestamps, witnessing, objects }, clock);
  const implementations = hook({
    'instance.status': status,
    'instance.health': async () => ({ alive: true as const }),
    'instance.ready': () => readiness.assert(),
    ...witnessing.implementations(),
    ...bind(instance, {
      ...{ authenticator, facts, passwords, naming },
      wake: () => jobs.wake(),
      wakeRewraps: () => rewraps.wake(),
    }),
  });
  const commits = new Commits(parts);
  const unauthenticated = new UnauthenticatedCounter(clock);
  const gate = new Gate({ ...parts, unauthenticated, implementations, commits, witnessing });
  const working = { ...parts, implementations, commits, timestamps, witnessing, gate, jobs, effects };
  const handlers = jobHandlers(instance, working);
  const poll = lookAround(instance, { ...working, rootRecorder });
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
    rewraps,
    objects,
    handlers,
    implementations,
    status,
    timestamps,
    poll,
    readiness,
    namingOf: namingOfAccessKeys(authenticator, naming),
  };
}

/** The effects outside the database, with what carries each kind out. */
function makeEffects({ database, hierarchy, ledger, shred }: OpenInstance, facts: FactsCache): Effects {
  const forget = (tenant: string): void => hierarchy.releaseTenant(tenant);
  const kinds = {
    'shred.remove': shredRemoval({ shred, forget }),
    'shred.remove-study': studyRemoval({ database, shred, forget }),
    [objectEffect]: objectSettlement({ database, hierarchy }),
  };
  return new Effects({ database, hierarchy, ledger, facts, kinds });
}

/** Looks at what other nodes have done, and at what lies beside the database. */
function lookAround(
  { database, epochs, directory }: OpenInstance,
  parts: Parameters<typeof ceremonyRecorder>[0] & {
    readonly timestamps: Timestamps;
    readonly witnessing: Witnessing;
    readonly jobs: JobRunner;
    readonly rootRecorder: RootRecorder;
  },
): () => Promise<void> {
  const { facts, ledger, timestamps, witnessing, jobs } = parts;
  const recordCeremonies = ceremonyRecorder(parts, directory.path);
  return async () => {
    await database.assertKnown();
    await facts.poll();
    epochs.refresh();
    await ledger.poll();
    await timestamps.poll();
    await witnessing.poll();
    await parts.rootRecorder.look();
    await recordCeremonies();
    jobs.wake();
  };
}

/** What jobs are done by. */
function jobHandlers(
  instance: OpenInstance,
  parts: CarryOutParts & {
    readonly clock: Clock;
    readonly notes: GateNotes;
    readonly timestamps: Timestamps;
    readonly gate: Gate;
    readonly jobs: JobRunner;
    readonly effects: Effects;
    readonly objectEffects: typeof objectEffects;
  },
): Record<string, JobHandler> {
  const { facts, clock, gate, jobs, ledger, database } = parts;
  const whole = { ...instance, ...parts };
  return {
    [executionTask]: carryOutApproved(parts),
    [rotationTask]: rotationHandler(parts),
    [policyTask]: policyHandler(parts),
    [destructionTask]: destructionHandler({ ...parts, holds: new HoldCheck(instance) }),
    [shreddingTask]: shreddingHandler({ ...whole, holds: new HoldCheck(instance) }),
    [studyErasureTask]: studyErasureHandler({ ...parts, holds: new HoldCheck(instance) }),
    [importEndTask]: importEndHandler({ database }),
    [exportEndTask]: exportEndHandler({ database }),
    [renewalTask]: renewalHandler(whole),
    [completionTask]: completionHandler(whole),
    [checkpointTask]: checkpointHandler(ledger),
    [retirementTask]: retirementHandler(whole),
    [pruneTask]: pruneHandler(database),
    ...reviewHandlers(parts),
    ...drillHandlers({
      ...revocationParts(instance, { facts, wake: () => jobs.wake() }),
      clock,
      notes: parts.notes,
      admit: ownRequests(gate),
    }),
    [timestampTask]: parts.timestamps.handler(),
    ...parts.effects.handlers(),
  };
}

/** How long clients go on using data keys that they have, s; the SDK's bound unless the configuration says another. */
const usualDataKeySeconds = 60;

function revocationParts(
  { configuration, database, hierarchy, ledger, reserve }: OpenInstance,
  rest: { readonly facts: FactsCache; wake(): void },
) {
  const { clientDataKeySeconds: dataKeySeconds = usualDataKeySeconds } = configuration;
  return { database, hierarchy, ledger, reserve, dataKeySeconds, ...rest };
}

/** Requests that the server makes of itself, with a credential, as anybody would. */
function ownRequests(gate: Gate) {
  return (operation: OperationId, credential: string, input: object): Promise<unknown> =>
    gate.admit({
      operation,
      authorization: `Bearer ${credential}`,
      input,
      source: 'drill',
      requestId: newId(),
    });
}

/** Another node may have destroyed keys where an epoch has moved on; what is still needed is unwrapped again. */
function makeFacts({ database, hierarchy, ledger }: OpenInstance, notes: GateNotes): FactsCache {
  return new FactsCache(
    database,
    async (id) => {
      try {
        const { tenant } = await ledger.open(id);
        if (tenant === null) return;
        // Before anything is opened with it; read at once, so that leases of former wrappings end here too.
        hierarchy.forgetTenantKey(tenant);
        hierarchy.releaseTenant(tenant);
        await hierarchy.rowKey(tenant);
        // Of a tenant that has left it is another one.
        await ledger.renewPayloadKey(id);
      } catch (error) {
        notes.warn({ log: id, error: String(error) }, "A tenant's keys could not be read; trying again.");
        throw error;
      }
    },
    (id) => {
      const tenant = ledger.logs.find((log) => log.id === id)?.tenant;
      if (tenant !== null && tenant !== undefined) hierarchy.forgetTenantKey(tenant);
    },
  );
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
    facts,
    passwords,
    naming,
    wake,
    wakeRewraps,
  }: {
    authenticator: Authenticator;
    facts: FactsCache;
    passwords: Passwords;
    naming: (tenant: string) => Promise<KeyNaming>;
    wake: () => void;
    wakeRewraps: () => void;
  },
): Omit<Implementations, `instance.${'status' | 'health' | 'ready'}` | WitnessingOperationId> {
  const { configuration, database, hierarchy, ledger } = instance;
  const holds = new HoldCheck(instance);
  const keysOf = async ({ caller, facts }: Context<OperationId>): Promise<ReadonlySet<string>> =>
    (await authenticator.credential(facts, caller.log, caller.actor))?.keys ?? new Set();
  return {
    'instance.openapi': async () => openApiDocument(Object.values(operations), version),
    ...tenantImplementations({ hierarchy, ledger, origin: configuration.origin }),
    ...sealImplementations(hierarchy),
    ...rootPermitImplementations(hierarchy),
    ...registryImplementations({ hierarchy, holds, wake }),
    ...studyErasureImplementations({ hierarchy, holds }),
    ...exitImplementations({ hierarchy, ledger, holds, profile: configuration.profile }),
    ...holdImplementations(hierarchy),
    ...exportImplementations({ hierarchy }),
    ...holderImplementations({ hierarchy, ledger, lookAgain, wake }),
    ...credentialImplementations(hierarchy),
    ...peopleImplementations({ hierarchy, passwords }),
    ...approvalImplementations({ hierarchy, ledger, wake }),
    ...signatureImplementations({ hierarchy, documentOf: signedDocuments({ hierarchy, ledger }) }),
    ...inventoryImplementations({ database, hierarchy, ledger, root: instance.root, naming }),
    ...keyImplementations({
      database,
      ...{ hierarchy, ledger, facts, objectEffects, holds, naming, keysOf, profile: configuration.profile },
      protection: protectionPolicy(configuration, hierarchy),
      further: new SecondRecipients(hierarchy),
    }),
    ...secondRecipientImplementations({ hierarchy, profile: configuration.profile }),
    ...tenantRootImplementations({ hierarchy, instanceKey: instance.instanceKey, ...instance.tenantRoots }),
    ...timestampImplementations(database),
    ...useImplementations(hierarchy),
    ...dataKeyImplementations({ hierarchy, keysOf, wake: wakeRewraps }),
    ...payloadImplementations({ database, hierarchy, ledger }),
    ...revocationImplementations(revocationParts(instance, { facts, wake })),
    ...reviewImplementations({ database, hierarchy, ledger, wake }),
    ...questionImplementations({ database, ledger }),
    ...evidenceImplementations({ configuration, database, hierarchy, ledger }),
    ...ledgerImplementations({ database, hierarchy, ledger, wake }),
  };
}

function statusOf(
  { configuration, database, ledger, recovery, root }: OpenInstance,
  {
    timestamps,
    witnessing,
    objects,
  }: { timestamps: Timestamps; witnessing: Witnessing; objects: ObjectWatch },
  clock: Clock,
) {
  const isWitnessed = (): boolean => witnessing.summary().withCosigners === ledger.logs.length;
  return async () => ({
    state: recovery.length === 0 ? ('ready' as const) : ('recovery' as const),
    profile: configuration.profile,
    version,
    rootOfTrust: rootText(root),
    limits: [
      ...statedLimits(configuration.profile, database.dialect, isWitnessed(), root.kind),
      ...statedExposure(processFacts()),
      ...(await timestamps.limits()),
      ...(await overdueDrills(database, clock)),
      ...(await objects.limits()),
    ],
  });
}
