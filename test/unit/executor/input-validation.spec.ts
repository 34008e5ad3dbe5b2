import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { ValidationPipe } from '@nestjs/common';
import { Transform, Type } from 'class-transformer';
import { IsArray, IsInt, IsString, ValidateNested } from 'class-validator';
import { z } from 'zod';
import type { StandardSchema } from '../../../lib/contracts/task-handler.interface.js';
import type { ValidationError } from '../../../lib/errors/request.errors.js';
import { validateInput } from '../../../lib/executor/input-validation.js';

class Line {
  @IsInt() amount!: number;
}
class Order {
  @IsString() customer!: string;
  @IsArray() @ValidateNested({ each: true }) @Type(() => Line) lines!: Line[];
  readonly currency: string = 'EUR';
}
class Trimmed {
  @Transform(({ value }: { value: string }) => value.trim()) @IsString() name!: string;
}
class Bare {
  anything!: string;
}
const dto = (value: unknown, input: new () => object = Order): Promise<unknown> =>
  Promise.resolve(validateInput({ input, schema: undefined }, value));
const issuesOf = async (validated: unknown): Promise<unknown> =>
  Promise.resolve(validated).then(
    () => 'accepted',
    (error: ValidationError) => [error.field, ...new Set(error.issues.map((issue) => issue.path))],
  );
const schema = (validate: (value: unknown) => unknown): { input: undefined; schema: StandardSchema } => ({
  input: undefined,
  schema: { '~standard': { version: 1, vendor: 'test', validate } },
});

describe('validateInput', () => {
  it('gives the value itself, at once, where a handler declares nothing', () => {
    const value = { a: 1 };
    expect(validateInput({ input: undefined, schema: undefined }, value)).toBe(value);
  });

  it('gives a DTO with its defaults, nested instances, and members it does not name: nothing submitted is dropped in silence', async () => {
    const order = (await dto({ customer: 'c', lines: [{ amount: 1 }], note: 'kept' })) as Order;
    expect(order).toBeInstanceOf(Order);
    expect(order.lines[0]).toBeInstanceOf(Line);
    expect(order).toMatchObject({ currency: 'EUR', note: 'kept' });
  });

  it('leaves members that nobody named to the pipe before submit: dropped or refused there', async () => {
    const value = { customer: 'c', lines: [], isAdmin: true };
    const body = { type: 'body', metatype: Order } as const;
    expect(await new ValidationPipe({ whitelist: true }).transform(value, body)).toEqual({ customer: 'c', lines: [] });
    const refusing = new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true });
    await expect(refusing.transform(value, body)).rejects.toMatchObject({ status: 400 });
    expect(await dto(value)).toMatchObject({ isAdmin: true });
  });

  it('refuses members that nobody named where the schema is a strict one', async () => {
    const strict = { input: undefined, schema: z.strictObject({ customer: z.string() }) as StandardSchema };
    expect(await validateInput(strict, { customer: 'c' })).toEqual({ customer: 'c' });
    await expect((async () => validateInput(strict, { customer: 'c', isAdmin: true }))()).rejects.toMatchObject({
      name: 'ValidationError',
    });
  });

  it('names every member at fault, nested ones by their path', async () => {
    expect(await issuesOf(dto({ lines: [{ amount: 1 }, { amount: 'x' }] }))).toEqual(['input', 'customer', 'lines.1.amount']);
  });

  it.each([[null], ['text'], [5], [[]], [undefined]])('refuses %j where a DTO is due', async (value) => {
    expect(await issuesOf(dto(value))).toEqual(['input', 'input']);
  });

  it('refuses a class without a single rule, which could not refuse anything', async () => {
    expect(await issuesOf(dto({ anything: 1 }, Bare))).toEqual(['input', 'input']);
  });

  it('refuses what a transform of the DTO trips over, as any other input that does not fit', async () => {
    expect(await dto({ name: ' n ' }, Trimmed)).toMatchObject({ name: 'n' });
    const error = await dto({ name: 5 }, Trimmed).catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ field: 'input', message: expect.stringContaining('cannot become a Trimmed: TypeError') });
  });

  it('waits for asynchronous schemas, and takes paths of keys and of objects', async () => {
    expect(
      await validateInput(
        schema(async (value) => ({ value: [value] })),
        1,
      ),
    ).toEqual([1]);
    const issues = [{ message: 'bad', path: ['a', { key: 0 }, 'b'] }, { message: 'worse' }];
    expect(
      await issuesOf(
        validateInput(
          schema(async () => ({ issues })),
          1,
        ),
      ),
    ).toEqual(['input', 'a.0.b', 'input']);
    expect(() =>
      validateInput(
        schema(() => ({ issues })),
        1,
      ),
    ).toThrow('a.0.b: bad');
  });

  it('passes on what a schema throws', () => {
    const broken = schema(() => {
      throw new RangeError('broken schema');
    });
    expect(() => validateInput(broken, 1)).toThrow(RangeError);
  });
});
