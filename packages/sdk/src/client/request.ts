import { inputPlaces } from '@trialkeep/contract';
import type { Operation } from '@trialkeep/contract';
import { sdkError } from '../errors.ts';

/** One HTTP request, as `fetch` takes it. `target` is path and query, to be put behind the server's URL. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly target: string;
  readonly body: string | undefined;
}

/**
 * Lays the inputs of an operation out as an HTTP request. An input that travels in the path must have the form that
 * the contract gives it: `..` or a slash would otherwise turn the request into one for another operation. All other
 * inputs are checked by the server, which refuses unknown ones.
 */
export function layOut(operation: Operation, input: Readonly<Record<string, unknown>>): HttpRequest {
  const inPath = new Set(inputPlaces(operation).path);
  const path = operation.path.replaceAll(/\{(\w+)(\*?)\}/g, (_, name: string, rest: string) => {
    const value = pathValue(operation, name, input[name]);
    return rest === '*' ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value);
  });
  const others = Object.entries(input).filter(([name, value]) => !inPath.has(name) && value !== undefined);
  if (operation.method === 'GET') {
    const query = new URLSearchParams();
    for (const [name, value] of others) query.append(name, String(value));
    return { method: 'GET', target: query.size === 0 ? path : `${path}?${query}`, body: undefined };
  }
  return { method: 'POST', target: path, body: JSON.stringify(Object.fromEntries(others)) };
}

function pathValue(operation: Operation, name: string, value: unknown): string {
  const schema: { pattern?: string; maxLength?: number } | undefined = operation.input.properties[name];
  const fits =
    typeof value === 'string' &&
    schema?.pattern !== undefined &&
    value.length <= (schema.maxLength ?? 1000) &&
    new RegExp(schema.pattern, 'u').test(value) &&
    !value.split('/').some((segment) => segment === '' || segment === '.' || segment === '..');
  if (!fits) throw sdkError('client.invalid_input', { detail: name, field: `/${name}` });
  return value;
}
