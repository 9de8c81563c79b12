import type { Operations, Output, RequestDocument } from '@trialkeep/contract';
import { parseCanonicalObject, hasShape, isOperationId, isTime, isUuid } from '@trialkeep/ledger';
import { isLine } from '../line.ts';
import { sdkError } from '../errors.ts';
import type { Caller, CallOptions } from './client.ts';
import { pause } from './pause.ts';
import { pendingOf } from './pending.ts';

type Shown = Output<Operations['approvals.show']>;
export type Approval = Shown['approval'];

/** How a request for approval can end. */
export type SettledState = Exclude<Approval['state'], 'pending' | 'approved'>;
export type SettledApproval = Approval & { readonly state: SettledState };

export interface AwaitOptions extends CallOptions {
  /** How often the request is looked at, ms; 5,000 by default. Each look is an entry of the ledger. */
  readonly pollMs?: number;
}

/**
 * Waits until a request for approval has ended one way or another: executed, denied, cancelled, expired or failed. A busy server is
 * asked again.
 *
 * @throws TrialkeepError as `approvals.show`; the reason of the signal
 */
export async function awaitApproval(
  client: Caller,
  approval: string,
  { signal, pollMs = 5000 }: AwaitOptions = {},
): Promise<SettledApproval> {
  const calling = signal === undefined ? {} : { signal };
  for (;;) {
    let waitMs = pollMs;
    try {
      const { approval: found } = await client.call('approvals.show', { approval }, calling);
      if (isSettled(found)) return found;
    } catch (error) {
      const pending = pendingOf(error);
      if (pending?.state !== 'try-again') throw error;
      waitMs = Math.max(pollMs, pending.afterMs);
    }
    await pause(waitMs, signal);
  }
}

function isSettled(approval: Approval): approval is SettledApproval {
  return approval.state !== 'pending' && approval.state !== 'approved';
}

/**
 * The document of a request, once its SHA-256 has been computed here and is the hash that an approval would name, and what it says
 * is what is said about it. Whoever decides has to have seen this and nothing else.
 *
 * @throws TrialkeepError `client.document_altered`
 */
export async function checkedDocument({ approval, document }: Shown): Promise<RequestDocument> {
  const bytes = new TextEncoder().encode(document);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (hash !== approval.hash) throw sdkError('client.document_altered', { detail: 'its hash' });
  const content = parseCanonicalObject(document);
  const isDocument =
    content !== undefined &&
    hasShape(content, {
      approval: (id) => isUuid(id) && id === approval.id,
      input: (input) => typeof input === 'object' && input !== null && !Array.isArray(input),
      operation: (operation) => isOperationId(operation) && operation === approval.operation,
      origin: isLine,
      requestedAt: (time) => isTime(time) && time === approval.requestedAt,
      requester: (person) => isUuid(person) && person === approval.requester,
      v: (version) => version === 1,
    });
  if (!isDocument) throw sdkError('client.document_altered', { detail: 'its form, or what it is about' });
  return content as unknown as RequestDocument;
}
