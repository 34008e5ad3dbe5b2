import { Inject } from '@nestjs/common';
import { TASKFLOW_OPTIONS } from './taskflow.tokens.js';

/** Injects the options as the engine reads them: defaulted, validated, frozen (`TaskflowOptions`). */
export const InjectTaskflowOptions = (): ParameterDecorator & PropertyDecorator => Inject(TASKFLOW_OPTIONS);
