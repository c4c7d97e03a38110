/**
 * Certificates of authorities that a `caFile` names.
 *
 * @packageDocumentation
 */
import { checkCertificates } from './certificates.ts';
import type { ConfigFiles } from './files.ts';
import type { Findings, Path } from './findings.ts';

/** @returns PEM text; undefined where there is none, which is among the findings. */
export async function readCaFile(file: string, at: Path, files: ConfigFiles, findings: Findings): Promise<string | undefined> {
  const text = await files.read(file, at, { isSecret: false });
  if (text === undefined) return undefined;
  const fault = checkCertificates(text);
  if (fault !== undefined) findings.problem(at, `${files.absolute(file)} ${fault}`);
  return text;
}
