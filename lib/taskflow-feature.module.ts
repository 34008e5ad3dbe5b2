import { Inject, Module, type OnModuleInit, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { ConfigValidationError } from './errors/config.errors.js';
import { MarkedProviders } from './handlers/marked-providers.js';

export const FEATURE_PROVIDERS = Symbol('taskflow feature providers');

/** What `TaskflowModule.forFeature` imports: registers at once what a lazily loaded module provides. */
@Module({})
export class TaskflowFeatureModule implements OnModuleInit {
  constructor(
    private readonly moduleRef: ModuleRef,
    @Inject(FEATURE_PROVIDERS) private readonly types: readonly Type<unknown>[],
  ) {
    // Nest calls no hooks of lazily loaded modules. At the start, what is found here may not be constructed yet: it says nothing then.
    const marked = this.marked();
    if (marked.isComplete) marked.registerLate(types);
  }

  /** At the start every provider is found anyway; only a slip is told. */
  onModuleInit(): void {
    this.marked().check(this.types);
  }

  private marked(): MarkedProviders {
    try {
      return this.moduleRef.get(MarkedProviders, { strict: false });
    } catch {
      throw new ConfigValidationError([
        { path: 'TaskflowModule.forFeature', message: 'needs TaskflowModule.forRoot() in the root module' },
      ]);
    }
  }
}
