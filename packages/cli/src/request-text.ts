import { operations, TrialkeepError } from '@trialkeep/sdk/client';
import type { Approval, Caller, RequestDocument } from '@trialkeep/sdk/client';
import { isoTime, list, printable, table } from './output.ts';

/** Names of people by their ids, so that a request can be read; without them where they may not be read. */
export async function namesOfPeople(client: Caller): Promise<ReadonlyMap<string, string>> {
  try {
    const { people } = await client.call('people.list', {});
    return new Map(people.map(({ id, name }) => [id, name]));
  } catch (error) {
    if (error instanceof TrialkeepError && error.code === 'access.denied') return new Map();
    throw error;
  }
}

/**
 * A request for approval in words. What is asked for is taken from the document whose hash has been checked, nothing else of it from
 * what the server says about it.
 */
export function requestText(
  approval: Approval,
  document: RequestDocument,
  names: ReadonlyMap<string, string>,
): string {
  const person = (id: string) => (names.has(id) ? `${names.get(id)} (${id})` : id);
  const { operation, input, requester, requestedAt } = document;
  const approved = approval.votes.filter(({ decision }) => decision === 'approve').length;
  const lines = [
    list({
      request: document.approval,
      operation,
      'what it does': summaryOf(operation),
      'asked by': person(requester),
      'asked at': isoTime(requestedAt),
      until: isoTime(approval.expiresAt),
      state: `${approval.state}, ${approved} of ${approval.needed} approvals`,
      ...(approval.failure !== null && { failure: approval.failure }),
      ledger: document.origin,
      hash: approval.hash,
    }),
    '',
    'With this input, and no other:',
    list(Object.fromEntries(Object.entries(input).map(([name, value]) => [`  ${name}`, valueText(value)]))),
  ];
  if (approval.votes.length > 0) {
    const rows = approval.votes.map((vote) => [isoTime(vote.votedAt), vote.decision, person(vote.person)]);
    lines.push('', table(['decided', 'decision', 'by'], rows));
  }
  return printable(lines.join('\n'));
}

function summaryOf(operation: string): string | undefined {
  return Object.hasOwn(operations, operation)
    ? operations[operation as keyof typeof operations].summary
    : undefined;
}

/** A line feed in a value could pass for a line of ours. */
function valueText(value: unknown): string {
  return typeof value === 'string' && !/[\n\t]/.test(value) ? value : JSON.stringify(value);
}
