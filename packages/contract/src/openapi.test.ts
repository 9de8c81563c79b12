import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errors, openApiDocument, operations } from './index.ts';
import type { ErrorCode, Operation } from './index.ts';

/** The answers of an operation by status, each with the codes that its description lists. */
function answersOf(operation: Operation): Map<number, string[]> {
  const { paths } = openApiDocument([operation], '1.0.0') as {
    paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>;
  };
  const [methods] = Object.values(paths);
  const [described] = Object.values(methods ?? {});
  assert.ok(described);
  return new Map(
    Object.entries(described.responses).map(([status, { description }]) => [
      Number(status),
      description.split(', '),
    ]),
  );
}

function assertListed(operation: Operation, codes: readonly ErrorCode[]): void {
  const answers = answersOf(operation);
  for (const code of codes) {
    assert.ok(answers.get(errors[code].status)?.includes(code), `${operation.id} ${code}`);
  }
}

test('the OpenAPI document lists what an operation answers, and what dual control and signatures do [URS-010] [URS-031]', () => {
  const all: readonly Operation[] = Object.values(operations);
  for (const operation of all) assertListed(operation, operation.errors);
  const [approved, signed] = [all.filter((each) => each.approval), all.filter((each) => each.signature)];
  assert.ok(approved.length > 0 && signed.length > 0);
  const ofApproval = ['approval.needed', 'approval.too_few_people', 'approval.too_many_open'] as const;
  for (const operation of approved) assertListed(operation, ['access.person_required', ...ofApproval]);
  for (const operation of signed) assertListed(operation, ['access.person_required', 'signature.needed']);
  assert.equal(answersOf(operations['keys.list']).get(errors['approval.needed'].status), undefined);
});
