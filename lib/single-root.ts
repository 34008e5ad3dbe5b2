import type { DynamicModule, ForwardReference, Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { ConfigValidationError } from './errors/config.errors.js';

/**
 * One application has one task system: of two, the second would wait for the first one's lock, and nobody could say which runs a task.
 * @throws ConfigValidationError that names the modules which import it.
 */
export function requireSingleRoot(container: ModulesContainer, root: Type<unknown>): void {
  const modules = [...container.values()];
  if (modules.filter((module) => module.metatype === root).length < 2) return;
  // By what the modules declare: a global module is among everybody's imports in the container.
  const seen = new Set<unknown>();
  const importers = modules.flatMap(({ metatype }) => importersIn(importsOf(metatype), metatype.name, root, seen));
  const where = importers.length < 2 ? [...importers, 'a dynamic module'] : importers;
  throw new ConfigValidationError([
    {
      path: `${root.name}.forRoot`,
      message:
        `is imported twice, by ${where.join(' and by ')}. One application has one task system: import it once, in the root module. ` +
        'It is global, so other modules need nothing; those that are loaded lazily import forFeature',
    },
  ]);
}

const importsOf = (type: Type<unknown>): unknown[] => (Reflect.getMetadata('imports', type) as unknown[] | undefined) ?? [];

/** Who imports the root: this importer, or dynamic modules that it imports, whose own imports no metadata tells of. */
function importersIn(imports: readonly unknown[], importer: string, root: Type<unknown>, seen: Set<unknown>): string[] {
  return imports.flatMap((each) => {
    const imported = forwarded(each);
    if (typeof imported !== 'object' || imported === null) return imported === root ? [importer] : [];
    const { module, imports: its } = imported as Partial<DynamicModule>;
    if (module === root) return [importer];
    if (module === undefined || !Array.isArray(its) || seen.has(imported)) return [];
    seen.add(imported);
    return importersIn(its, module.name, root, seen);
  });
}

const forwarded = (imported: unknown): unknown => (imported as Partial<ForwardReference> | undefined)?.forwardRef?.() ?? imported;
