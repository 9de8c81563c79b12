import { StartupError } from '../errors.ts';

/** Where a database of a PostgreSQL server is, and as whom it is used. It holds no secret. */
export interface PostgresLocation {
  readonly user: string;
  /** A name, an address, or the absolute path of the folder of the server's socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly applicationName: string;
  /** Undefined: in the clear, which never leaves the machine. Otherwise paths of PEM files; without `ca` the system's. */
  readonly tls: { readonly ca?: string; readonly certificate?: string; readonly key?: string } | undefined;
}

const form =
  /^postgres(?:ql)?:\/\/(?<user>[^:@/?#[\]]+)(?<password>:[^@/?#]*)?@(?<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{0,253})(?::(?<port>[1-9][0-9]{0,4}))?\/(?<database>[^/?#]+)(?:\?(?<query>[^#]*))?$/;
const knownParameters = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'host', 'application_name'];
const loopback = ['localhost', '127.0.0.1', '::1'];
const maxUrlLength = 2000;

/**
 * Reads `postgresql://user@host:port/name?…` (PostgreSQL, section "Connection URIs"). Refused are passwords, for a URL is
 * copied, logged and listed; parameters that are not known; and any way across a network but `sslmode=verify-full`, for the
 * other modes encrypt without making sure who answers.
 *
 * @param variable what the URL was found in; errors name it, and never the URL
 * @throws StartupError `database.url_invalid`, `database.url_password`, `database.url_insecure`
 */
export function parsePostgresUrl(url: string, variable: string): PostgresLocation {
  const invalid = (detail: string): StartupError =>
    new StartupError('database.url_invalid', `${variable}: ${detail}`);
  const parts = url.length > maxUrlLength ? undefined : form.exec(url)?.groups;
  // Something with a password in it may not have the right form otherwise; that it holds one comes first.
  if (parts?.['password'] !== undefined || /^[^/]*:\/\/[^/?#]*:[^/?#]*@|[?&]password=/i.test(url)) {
    throw new StartupError('database.url_password', variable);
  }
  if (parts === undefined) throw invalid('it must be postgresql://USER@HOST:PORT/NAME.');
  const decode = (text: string, name: string): string => {
    let decoded: string;
    try {
      decoded = decodeURIComponent(text);
    } catch {
      throw invalid(`its ${name} is not percent-encoded UTF-8.`);
    }
    if (decoded === '' || /\p{Cc}/u.test(decoded))
      throw invalid(`its ${name} is empty or holds a control character.`);
    return decoded;
  };
  const parameters = readParameters(parts['query'], decode, invalid);
  const folder = parameters.get('host');
  const named = (parts['host'] ?? '').replace(/^\[|\]$/g, '');
  if (folder !== undefined && (named !== '' || !folder.startsWith('/'))) {
    throw invalid('host= takes the absolute folder of a socket, and nothing stands before the port then.');
  }
  const host = folder ?? named;
  if (host === '') throw invalid('it names no host.');
  const port = Number(parts['port'] ?? 5432);
  if (port > 65_535) throw invalid('its port is beyond 65535.');
  return {
    user: decode(parts['user'] ?? '', 'user'),
    host,
    port,
    database: decode(parts['database'] ?? '', 'database'),
    applicationName: parameters.get('application_name') ?? 'trialkeep',
    tls: readTls(host, parameters, variable),
  };
}

function readParameters(
  query: string | undefined,
  decode: (text: string, name: string) => string,
  invalid: (detail: string) => StartupError,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of query === undefined ? [] : query.split('&')) {
    const [name = '', ...rest] = part.split('=');
    if (!knownParameters.includes(name))
      throw invalid(`its parameters may be ${knownParameters.join(', ')}.`);
    if (found.has(name)) throw invalid(`${name} stands there twice.`);
    found.set(name, decode(rest.join('='), name));
  }
  return found;
}

function readTls(host: string, parameters: Map<string, string>, variable: string): PostgresLocation['tls'] {
  const mode = parameters.get('sslmode');
  const isSocket = host.startsWith('/');
  const [ca, certificate, key] = ['sslrootcert', 'sslcert', 'sslkey'].map((name) => parameters.get(name));
  if ((certificate === undefined) !== (key === undefined)) {
    throw new StartupError('database.url_invalid', `${variable}: sslcert and sslkey belong together.`);
  }
  if (mode === 'verify-full' && !isSocket) {
    return {
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { certificate }),
      ...(key !== undefined && { key }),
    };
  }
  const clear = (mode === undefined || mode === 'disable') && (isSocket || loopback.includes(host));
  if (!clear) throw new StartupError('database.url_insecure', variable);
  if (ca !== undefined || certificate !== undefined) {
    throw new StartupError('database.url_invalid', `${variable}: certificates need sslmode=verify-full.`);
  }
  return undefined;
}

/** How errors and logs name it. */
export function describeLocation({ database, host, port }: PostgresLocation): string {
  return `"${database}" at ${host}:${port}`;
}

/** Whether two locations are surely one database; another name of the same server is found out when both are opened. */
export function isSameDatabase(one: PostgresLocation, other: PostgresLocation): boolean {
  return one.database === other.database && one.host === other.host && one.port === other.port;
}
