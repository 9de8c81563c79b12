import type { EntryKind } from '@trialkeep/contract';
import type { PlacedEntry } from './entry.ts';

/**
 * An entry as a FHIR R4 AuditEvent (HL7 FHIR 4.0.1, AuditEvent), in the patterns of IHE Basic Audit Log Patterns (BALP): the participant is
 * a logical reference to a Patient whose identifier is the alias, never a name; the observer is the log.
 */
const dicom = 'http://dicom.nema.org/resources/ontology/DCM';
const eventType = 'http://terminology.hl7.org/CodeSystem/audit-event-type';
const entityType = 'http://terminology.hl7.org/CodeSystem/audit-entity-type';
const objectRole = 'http://terminology.hl7.org/CodeSystem/object-role';
const participation = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';
const sourceType = 'http://terminology.hl7.org/CodeSystem/security-source-type';
/** Names of our own: URNs, since they are nobody's web address. */
const own = (name: string): string => `urn:trialkeep:${name}`;

interface Coding {
  readonly system: string;
  readonly code: string;
  readonly display?: string;
}

type Entity = Readonly<Record<string, unknown>>;

/** What happened to data, as AuditEvent.action; a released key is what reading takes. */
const actions: Readonly<Record<EntryKind, 'C' | 'R' | 'E'>> = {
  'key-released': 'R',
  'decryption-observed': 'R',
  'decryption-attested': 'R',
  'encryption-observed': 'C',
  'encryption-attested': 'C',
  'use-denied': 'E',
  other: 'E',
};

/** AuditEvent.outcome: 0 success, 4 minor failure (refused, or waiting for people), 8 serious failure. */
const outcomes = { success: '0', refused: '4', requested: '4', failed: '8' } as const;

/** @param origin the log's name, which identifies the observer */
export function fhirAuditEvent(placed: PlacedEntry, origin: string): object {
  const { entry, kind, index } = placed;
  const isSignIn = /^(?:sessions|enrolment)\./.test(entry.operation);
  const type: Coding = isSignIn
    ? { system: dicom, code: '110114', display: 'User Authentication' }
    : { system: eventType, code: 'rest', display: 'RESTful Operation' };
  return {
    resourceType: 'AuditEvent',
    id: entry.entry,
    type,
    subtype: [
      { system: own('operation'), code: entry.operation },
      { system: own('entry-kind'), code: kind },
    ],
    action: actions[kind],
    recorded: new Date(entry.time).toISOString(),
    outcome: outcomes[entry.outcome],
    ...(entry.code !== undefined && { outcomeDesc: entry.code }),
    ...(entry.purpose !== undefined && { purposeOfEvent: [{ coding: [coding('purpose', entry.purpose)] }] }),
    agent: agentsOf(placed, origin),
    source: {
      site: origin,
      observer: { identifier: { system: own('log'), value: origin }, display: origin },
      type: [{ system: sourceType, code: '4', display: 'Application Server' }],
    },
    entity: entitiesOf(placed, `${origin}#${index}`),
  };
}

function coding(system: string, code: string): Coding {
  return { system: own(system), code };
}

/** Who asked, and the system that they acted for; what nobody asked for the server did. */
function agentsOf({ entry }: PlacedEntry, origin: string): object[] {
  const who = (system: string, value: string) => ({ identifier: { system: own(system), value } });
  const asked = {
    type: { coding: [{ system: participation, code: 'IRCP', display: 'information recipient' }] },
    ...(entry.role !== undefined && { role: [{ coding: [coding('role', entry.role)] }] }),
    who: entry.actor === undefined ? who('log', origin) : who('actor', entry.actor),
    requestor: entry.actor !== undefined,
  };
  const agents: object[] = [asked];
  if (entry.system !== undefined) {
    agents.push({
      type: { coding: [{ system: dicom, code: '110153', display: 'Source Role ID' }] },
      who: who('system', entry.system),
      requestor: false,
    });
  }
  if (entry.reporter !== undefined) {
    agents.push({
      type: { coding: [{ system: dicom, code: '110150', display: 'Application' }] },
      who: who('reporter', entry.reporter),
      requestor: false,
    });
  }
  return agents;
}

/** The participant, the study, the key, and the entry itself with what it says beside. */
function entitiesOf({ entry, text }: PlacedEntry, place: string): Entity[] {
  const entities: Entity[] = [];
  if (entry.subject !== undefined) {
    const system =
      entry.study === undefined ? own('subject-alias') : own(`study:${entry.study}:subject-alias`);
    entities.push({
      what: { type: 'Patient', identifier: { system, value: entry.subject } },
      type: { system: entityType, code: '1', display: 'Person' },
      role: { system: objectRole, code: '1', display: 'Patient' },
    });
  }
  if (entry.study !== undefined) {
    entities.push(thing('ResearchStudy', 'study', entry.study, { code: '3', display: 'Report' }));
  }
  if (entry.key !== undefined) {
    entities.push(thing(undefined, 'key', entry.key, { code: '13', display: 'Security Resource' }));
  }
  const details = Object.entries({ ...(JSON.parse(text) as object) })
    .filter(
      ([name]) => !['entry', 'subject', 'study', 'key', 'operation', 'outcome', 'time', 'v'].includes(name),
    )
    .map(([type, value]) => ({
      type,
      valueString: typeof value === 'string' ? value : JSON.stringify(value),
    }));
  entities.push({
    ...thing(undefined, 'entry', place, { code: '13', display: 'Security Resource' }),
    detail: details,
  });
  return entities;
}

function thing(
  type: string | undefined,
  system: string,
  value: string,
  role: { readonly code: string; readonly display: string },
): Entity {
  return {
    what: { ...(type !== undefined && { type }), identifier: { system: own(system), value } },
    type: { system: entityType, code: '2', display: 'System Object' },
    role: { system: objectRole, ...role },
  };
}
