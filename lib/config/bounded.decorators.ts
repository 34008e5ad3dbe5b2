import { applyDecorators } from '@nestjs/common';
import { IsInt, Max, Min } from 'class-validator';
import { MAX_BYTES, MAX_COUNT, MAX_DURATION_MS, MAX_TIMER_MS } from '../domain/bounds.js';

/** An integer from `min` to `max`: a larger one would not fit where it goes, and is refused with the largest that does. */
export const IsIntegerWithin = (min: number, max: number): PropertyDecorator => applyDecorators(IsInt(), Min(min), Max(max));

/** A number of things. */
export const IsCount = (min: number): PropertyDecorator => IsIntegerWithin(min, MAX_COUNT);
/** A pause, or a wait that ends by itself, in ms. */
export const IsTimerMs = (min: number): PropertyDecorator => IsIntegerWithin(min, MAX_TIMER_MS);
/** A time that is added to a date, or taken from one, in ms. */
export const IsDurationMs = (min: number): PropertyDecorator => IsIntegerWithin(min, MAX_DURATION_MS);
export const IsBytes = (min: number): PropertyDecorator => IsIntegerWithin(min, MAX_BYTES);
