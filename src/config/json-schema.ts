/**
 * The configuration's JSON Schema, for editors and for the documentation.
 *
 * Pure.
 *
 * Source: JSON Schema draft 2020-12.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { configSchema } from './schema.ts';

/** The parts of JSON Schema that ours uses. */
export interface JsonNode {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: string | number | boolean;
  readonly enum?: readonly unknown[];
  readonly const?: string;
  readonly pattern?: string;
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, JsonNode>>;
  readonly required?: readonly string[];
  readonly items?: JsonNode;
  readonly additionalProperties?: JsonNode | false;
  readonly oneOf?: readonly JsonNode[];
  readonly anyOf?: readonly JsonNode[];
}

/** What the file may say, before `${…}` is taken into account. */
export function describeConfig(): JsonNode {
  return z.toJSONSchema(configSchema, { io: 'input' }) as JsonNode;
}

const REFERENCE: JsonNode = { type: 'string', pattern: '\\$\\{(env|file):[^}]+\\}' };

/** What an editor is to accept: every value may also be a reference. */
export function editorSchema(): JsonNode {
  return { title: 'Postern configuration', ...acceptReferences(describeConfig()) };
}

function acceptReferences(node: JsonNode): JsonNode {
  const whole = {
    ...node,
    ...(node.properties === undefined ? {} : { properties: mapValues(node.properties, acceptReferences) }),
    ...(node.items === undefined ? {} : { items: acceptReferences(node.items) }),
    ...(isNode(node.additionalProperties) ? { additionalProperties: acceptReferences(node.additionalProperties) } : {}),
    ...(node.oneOf === undefined ? {} : { oneOf: node.oneOf.map(acceptReferences) }),
  };
  if (!isNarrow(whole)) return whole;
  const { title, description, default: standard, ...rule } = whole;
  const about = Object.fromEntries(Object.entries({ title, description, default: standard }).filter(([, value]) => value !== undefined));
  return { ...about, anyOf: [rule, REFERENCE] };
}

/** True where the rule would refuse the text of a reference. */
function isNarrow({ type, pattern, enum: options }: JsonNode): boolean {
  return type === 'integer' || type === 'boolean' || pattern !== undefined || options !== undefined;
}

const isNode = (value: JsonNode | false | undefined): value is JsonNode => typeof value === 'object' && Object.keys(value).length > 0;

const mapValues = (map: Readonly<Record<string, JsonNode>>, change: (node: JsonNode) => JsonNode): Record<string, JsonNode> =>
  Object.fromEntries(Object.entries(map).map(([key, node]) => [key, change(node)]));
