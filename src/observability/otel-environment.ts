/**
 * Whether and where traces go, from the variables that every OpenTelemetry program has.
 *
 * Only the environment, not the configuration: in a pod these variables are there already, for all containers. Without an endpoint nothing is switched
 * on, other than the standard's default of localhost: a relay does not go looking for collectors.
 *
 * Sources: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration". A set but empty variable counts as absent.
 *
 * @packageDocumentation
 */
import { type DurationMs, milliseconds, seconds } from '../core/clock.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { VERSION } from '../core/version.ts';
import { type Sampler, samplerOf } from './trace-sampler.ts';

/** How traces are exported. */
export interface TraceSettings {
  readonly url: URL;
  /** Their values are secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of one request. */
  readonly deadline: DurationMs;
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: Sampler;
}

/** Of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

const DEADLINE = seconds(10);
const LONGEST_DEADLINE = seconds(60);
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** Ours, and what would change how the request is read. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set(['host', 'content-length', 'content-type', 'transfer-encoding', 'connection']);

/**
 * @returns Undefined where traces are off.
 * @throws ProblemError `TRACES_MISCONFIGURED`, whose cause names the variable and never a value that may be secret.
 */
export function traceSettings(environment: Environment): TraceSettings | undefined {
  const read = (name: string): string | undefined => environment[name]?.trim() || undefined;
  const own = (name: string): [string, string | undefined] => {
    const specific = `OTEL_EXPORTER_OTLP_TRACES_${name}`;
    return read(specific) === undefined ? [`OTEL_EXPORTER_OTLP_${name}`, read(`OTEL_EXPORTER_OTLP_${name}`)] : [specific, read(specific)];
  };
  const [endpointName, endpoint] = own('ENDPOINT');
  if (endpoint === undefined || read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined;
  const exporter = read('OTEL_TRACES_EXPORTER') ?? 'otlp';
  if (exporter === 'none') return undefined;
  if (exporter !== 'otlp') throw misconfigured('OTEL_TRACES_EXPORTER', 'only otlp and none are known');
  const [protocolName, protocol = 'http/json'] = own('PROTOCOL');
  // Collectors take JSON where they take protobuf over HTTP: at one address, told apart by its content type.
  if (!protocol.startsWith('http/')) throw misconfigured(protocolName, 'only http/json is spoken (port 4318 of a collector, not 4317)');
  return {
    url: endpointUrl(endpointName, endpoint),
    headers: headersOf(...own('HEADERS')),
    deadline: deadlineOf(...own('TIMEOUT')),
    resource: resourceOf(read('OTEL_RESOURCE_ATTRIBUTES'), read('OTEL_SERVICE_NAME')),
    sampler: samplerFrom(read('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on', read('OTEL_TRACES_SAMPLER_ARG')),
  };
}

function endpointUrl(name: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw misconfigured(name, 'not an http:// or https:// URL without user name and password');
  }
  // The variable of all signals is a base; that of traces is taken as it is.
  if (name === 'OTEL_EXPORTER_OTLP_ENDPOINT') url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`;
  return url;
}

function headersOf(name: string, text: string | undefined): Record<string, string> {
  const headers = pairsOf(name, text);
  const wrong = Object.entries(headers).find(([key, value]) => !HEADER_NAME.test(key.toLowerCase()) || /[^\t\x20-\x7e]/.test(value));
  if (wrong !== undefined) throw misconfigured(name, 'a header with a name or value that HTTP does not allow');
  const lower = Object.entries(headers).map(([key, value]): [string, string] => [key.toLowerCase(), value]);
  return Object.fromEntries(lower.filter(([key]) => !RESERVED_HEADERS.has(key)));
}

function deadlineOf(name: string, text: string | undefined): DurationMs {
  if (text === undefined) return DEADLINE;
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) throw misconfigured(name, 'not a number of milliseconds above 0');
  return milliseconds(Math.min(Number(text), LONGEST_DEADLINE));
}

function resourceOf(text: string | undefined, serviceName: string | undefined): Record<string, string> {
  return {
    'service.name': 'postern',
    'service.version': VERSION,
    ...pairsOf('OTEL_RESOURCE_ATTRIBUTES', text),
    ...(serviceName === undefined ? {} : { 'service.name': serviceName }),
  };
}

function samplerFrom(name: string, argument: string | undefined): Sampler {
  const ratio = argument === undefined ? 1 : Number(argument);
  if (!(ratio >= 0 && ratio <= 1)) throw misconfigured('OTEL_TRACES_SAMPLER_ARG', 'not a number from 0 to 1');
  const sampler = samplerOf(name, ratio);
  if (sampler === undefined) throw misconfigured('OTEL_TRACES_SAMPLER', 'not one of the samplers that docs/operations.md lists');
  return sampler;
}

/** `name=value,name=value`, with values percent-encoded (W3C Baggage). */
function pairsOf(name: string, text = ''): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const pair of text.split(',').filter((each) => each.trim() !== '')) {
    const at = pair.indexOf('=');
    if (at < 1) throw misconfigured(name, 'not a list of name=value, parted by commas');
    try {
      pairs.push([pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())]);
    } catch {
      throw misconfigured(name, 'a value with a % that encodes nothing (write %25 for it)');
    }
  }
  return Object.fromEntries(pairs);
}

function misconfigured(name: string, what: string): ProblemError {
  return new ProblemError(problem('TRACES_MISCONFIGURED', `${name}: ${what}`));
}
