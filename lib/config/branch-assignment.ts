import { validateSync } from 'class-validator';
import type { FieldIssue } from '../errors/request.errors.js';
import { fieldIssue, nearestOption } from './option-issues.js';

export interface BranchAssignment {
  /** A fresh instance of the branch's option class: its own keys are the names there are, its values the defaults. */
  readonly target: object;
  readonly input: unknown;
  /** Path of the branch; '' for the root. */
  readonly path: string;
  /** Keys that the caller sees to. */
  readonly byReference?: ReadonlySet<string>;
  /** Every fault found is added here. */
  readonly issues: FieldIssue[];
}

/**
 * Puts what was given over the defaults, and checks the result by the class's decorators.
 * Copies own, enumerable members only and by name only, so that no key of the input reaches a prototype.
 * @returns the members given under `byReference`.
 */
export function assignBranch({ target, input, path, byReference, issues }: BranchAssignment): Record<string, unknown> {
  const passed: Record<string, unknown> = {};
  if (input === undefined) return passed;
  if (!isOptionsObject(input)) {
    issues.push(fieldIssue(path === '' ? 'options' : path, 'must be an object of options', input));
    return passed;
  }
  const branch = target as Record<string, unknown>;
  for (const key of Object.keys(input)) {
    const at = path === '' ? key : `${path}.${key}`;
    const value = input[key];
    if (!Object.hasOwn(branch, key)) issues.push({ path: at, message: unknownOption(key, branch) });
    else if (byReference?.has(key) === true) passed[key] = value;
    else if (isBranch(branch[key])) assignBranch({ target: branch[key], input: value, path: at, issues });
    else if (value !== undefined) branch[key] = value;
  }
  issues.push(...brokenRules(branch, path));
  return passed;
}

/** A plain object, or an instance of some class: not an array, Map, Date or Promise, whose content would be lost in silence. */
export function isOptionsObject(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === '[object Object]';
}

const isBranch = (value: unknown): value is object => typeof value === 'object' && value !== null;

function unknownOption(key: string, branch: Record<string, unknown>): string {
  const nearest = nearestOption(key, Object.keys(branch));
  return `unknown option; the nearest known name is "${nearest}"`;
}

function brokenRules(branch: Record<string, unknown>, path: string): FieldIssue[] {
  // `forbidUnknownValues: false`: a class of nothing but branches has no decorators, which class-validator takes for an unknown value.
  const errors = validateSync(branch, { forbidUnknownValues: false, validationError: { target: false } });
  return errors.map(({ property, constraints = {}, value }) => {
    const rules = Object.values(constraints).map((text) => (text.startsWith(`${property} `) ? text.slice(property.length + 1) : text));
    return fieldIssue(path === '' ? property : `${path}.${property}`, rules.join('; '), value);
  });
}
