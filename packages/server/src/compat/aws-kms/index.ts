import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OperationId } from '@trialkeep/contract';
import type { UnauthenticatedCounter } from '../../audit/index.ts';
import type { KeyNaming } from '../../keys/index.ts';
import { OperationError } from '../../platform/errors.ts';
import type { Admission } from '../../platform/http.ts';
import { sourceOf } from '../../platform/proxies.ts';
import type { Authorization, SignedRequest } from '../../platform/signed-request.ts';
import { isRefusal } from './call.ts';
import type { Ask } from './call.ts';
import { AwsError, awsError } from './errors.ts';
import { readMembers, recordedAs, requestName } from './requests.ts';
import type { Members, RequestName, Served } from './requests.ts';
import { served } from './serve.ts';
import { readSignature } from './signature.ts';

export { readAwsKmsHosts } from './hosts.ts';

/** What the protocol is served with: the one way in, and the names of keys. */
export interface AwsKmsParts {
  readonly gate: Admission;
  /** How the keys are named that belong to the tenant of an access key; undefined where no tenant has it. */
  namingOf(accessKey: string): Promise<KeyNaming | undefined>;
  /** Names that requests may be signed for. */
  readonly hosts: ReadonlySet<string>;
  readonly unauthenticated: Pick<UnauthenticatedCounter, 'count'>;
}

/** As what requests for operations that are not served are counted: the gate knows none of them. */
const unservedOperation = 'aws-kms.unserved';
const mediaType = 'application/x-amz-json-1.1';
/** An input that every operation refuses: what cannot be read is refused by the gate, so that it is on the record. */
const unreadable = { 'what the request says': null };
/** Names the keys of nobody: the signature will be refused. */
const nobody: KeyNaming = { region: '', account: '' };

/**
 * Serves first operations of the AWS KMS protocol (JSON 1.1, Signature Version 4) at `POST /`, over our operations, deciding nothing: who
 * asks, whether they may, and what is recorded is the gate's, for every request for one of them, also one that cannot be read. Requests for
 * anything else are counted as those of unknown callers are.
 */
export function addAwsKms(server: FastifyInstance, parts: AwsKmsParts): void {
  void server.register(async (scope) => {
    scope.setErrorHandler(async (error, request, reply) => {
      if (!isOfProtocol(request)) throw error;
      const refusal = awsError(error);
      if (refusal.status >= 500 && !(error instanceof OperationError)) {
        const stack = error instanceof Error ? error.stack : undefined;
        request.log.error({ requestId: request.id, stack }, 'A request failed.');
      }
      const body = { __type: refusal.name, message: refusal.message };
      await answer(request, reply, refusal.status, body);
    });
    scope.post('/', async (request, reply) => {
      if (!isOfProtocol(request)) throw new OperationError('request.unknown_operation');
      await answer(request, reply, 200, await serve(parts, request));
      return reply;
    });
  });
}

function isOfProtocol({ headers }: FastifyRequest): boolean {
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  return type.trim().toLowerCase() === mediaType;
}

function answer(request: FastifyRequest, reply: FastifyReply, status: number, body: object): FastifyReply {
  return (
    reply
      .code(status)
      .header('x-amzn-requestid', request.id)
      .header('cache-control', 'no-store')
      .type(mediaType)
      // Bytes: to text Fastify would add a charset.
      .send(Buffer.from(JSON.stringify(body)))
  );
}

async function serve(parts: AwsKmsParts, request: FastifyRequest): Promise<object> {
  const { rawHeaders, url = '' } = request.raw;
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const target = request.headers['x-amz-target'];
  const name = nameOrCount(parts, request, typeof target === 'string' ? target : undefined);
  let signed: SignedRequest;
  try {
    signed = readSignature({ method: request.method, url, rawHeaders, body }, parts.hosts);
  } catch (error) {
    await refuse(asker(parts, request, undefined), name, 'auth.required');
    throw error;
  }
  const naming = (await parts.namingOf(signed.accessKey)) ?? nobody;
  const ask = asker(parts, request, signed);
  let isAsked = false;
  const askedFor: Ask = (operation, input) => {
    isAsked = true;
    return ask(operation, input);
  };
  try {
    const members = readMembers(name, body);
    return await (served[name] as Served[RequestName & 'Decrypt'])(
      { ask: askedFor, naming },
      members as Members<'Decrypt'>,
    );
  } catch (error) {
    if (!isAsked && error instanceof AwsError) await refuse(ask, name, 'request.invalid');
    throw error;
  }
}

function nameOrCount(
  { unauthenticated }: AwsKmsParts,
  request: FastifyRequest,
  target: string | undefined,
): RequestName {
  try {
    return requestName(target);
  } catch (error) {
    unauthenticated.count(sourceOf(request), unservedOperation);
    throw error;
  }
}

/** One of our operations as the sender of the request asks for it. */
function asker({ gate }: AwsKmsParts, request: FastifyRequest, authorization: Authorization): Ask {
  const { traceparent } = request.headers;
  const ask = (operation: OperationId, input: unknown): Promise<unknown> =>
    gate.admit({
      operation,
      authorization,
      input,
      source: sourceOf(request),
      requestId: request.id,
      protocol: 'aws-kms',
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    });
  return ask as Ask;
}

/** Has the gate refuse a request that cannot be read, and count or record that; throws where it says something else than that. */
async function refuse(
  ask: Ask,
  name: RequestName,
  expected: 'auth.required' | 'request.invalid',
): Promise<void> {
  try {
    await ask(recordedAs[name], unreadable as never);
  } catch (error) {
    if (!isRefusal(error, expected)) throw error;
  }
}
