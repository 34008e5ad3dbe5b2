import type { DynamicModule, Type } from '@nestjs/common';
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
  const importers = modules.flatMap(({ metatype }) =>
    importsOf(metatype)
      .filter((each) => isOf(each, root))
      .map(() => metatype.name),
  );
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

const isOf = (imported: unknown, root: Type<unknown>): boolean =>
  imported === root || (typeof imported === 'object' && imported !== null && (imported as Partial<DynamicModule>).module === root);
