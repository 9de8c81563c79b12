import type { Door, Operation, Role } from '@trialkeep/contract';
import { errorsOf, isDoor, operations, roles } from '@trialkeep/contract';
import type { Page } from './page.ts';
import { code, heading, table } from './page.ts';

const all: readonly Operation[] = Object.values(operations);
const roleNames = Object.keys(roles) as Role[];

/** What the doors beside the permissions of roles take. */
const doorKeys: Record<Door, string> = {
  public: 'anybody',
  'sign-in': 'password and code',
  enrolment: 'invitation',
  self: 'session',
};

function permits(role: Role, { permission }: Operation): string {
  if (isDoor(permission)) return doorKeys[permission];
  return (roles[role] as readonly string[]).includes(permission) ? 'yes' : '–';
}

/** What a person has to do beside asking. */
function conditions({ approval, signature, personOnly }: Operation): string {
  if (approval !== undefined)
    return `approval of ${approval.people} others within ${approval.withinDays} days`;
  if (signature !== undefined) return `signature: ${signature.meaning}`;
  return personOnly === true ? 'a person' : '–';
}

function listed(words: readonly string[]): string {
  return words.length === 0 ? '–' : words.map(code).join(', ');
}

function permissionMatrix(): string {
  const rows = all.map((operation) => [
    code(operation.id),
    operation.summary,
    code(operation.permission),
    conditions(operation),
    ...roleNames.map((role) => permits(role, operation)),
  ]);
  return table(['operation', 'what it does', 'permission', 'needs', ...roleNames], rows);
}

function records(): string {
  const rows = all.map(({ id, method, path, effect, urgent, record, recorded, reason, requirements }) => [
    code(id),
    code(`${method} ${path}`),
    urgent === true ? `${effect}, on a full disk too` : effect,
    record === 'entry' ? 'ledger entry' : 'access log',
    listed(recorded),
    reason,
    requirements.join(', ') || '–',
  ]);
  return table(
    ['operation', 'request', 'effect', 'recorded in', 'inputs in the payload', 'reason', 'requirements'],
    rows,
  );
}

function answers(): string {
  return table(
    ['operation', 'errors of its own'],
    all.map((operation) => [code(operation.id), listed(errorsOf(operation))]),
  );
}

export const operationsPage: Page = {
  path: 'docs/operations.md',
  render: () =>
    Promise.resolve(`${heading('Operations', 'packages/contract')}
Every operation of Trialkeep, as the contract defines it. The server's OpenAPI document at \`/openapi.json\` gives the schemas.

## Who may do what

Denied is everything that no role of the caller permits. A service is held to the keys that its credential names besides. What needs an
approval or a signature, only a person can ask for. The role \`approver\` only people can have; \`service\` only credentials.

${permissionMatrix()}

## What is recorded

Every call of an operation that is recorded in the ledger leaves an entry, refused or not. The entry itself says who, what,
when, which key and the outcome; inputs lie in its encrypted payload. Plaintext, ciphertext and secrets are in neither.

${records()}

## What it can answer

Beside these, every operation can answer the \`request.\`, \`auth.\`, \`access.\` and \`server.\` errors of [errors](errors.md).

${answers()}
`),
};
