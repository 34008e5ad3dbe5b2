/** What `api-contract.d.ts` allows, the built `dist/index.d.ts` allows. */
import type * as api from './api-contract.js';
import type * as lib from 'nestjs-taskflow';
import type * as client from 'nestjs-taskflow/client';
import type * as health from 'nestjs-taskflow/health';
import type * as testing from 'nestjs-taskflow/testing';

type Assert<T extends true> = T;
/** A value of ours can be used as the contract's. */
type Gives<Ours, Contract> = [Ours] extends [Contract] ? true : { ours: Ours; doesNotGive: Contract };
/** Users may make it and read it. `exactOptionalPropertyTypes` is on: "left out" and "undefined" are different. */
type Same<A, B> = Gives<A, B> extends true ? Gives<B, A> : Gives<A, B>;

/**
 * What the contract has and the package does not have yet, all of it: take a name out in the commit that brings it. A name that is there
 * already is an error below.
 */
interface NotYet {
  values: never;
  system: never;
  rejections: never;
  task: never;
  submit: never;
  repositories: never;
  options: never;
}
type Missing<Ours, Names> = Extract<keyof Ours, Names>;
type Submit = lib.SubmitParams<unknown>;
export type ReallyNotYet = [
  Assert<Same<Missing<typeof lib, NotYet['values']>, never>>,
  Assert<Same<Missing<lib.TaskSystem, NotYet['system']>, never>>,
  Assert<Same<Missing<Rejections<lib.TaskSystemStats>, NotYet['rejections']>, never>>,
  Assert<Same<Missing<lib.Task, NotYet['task']>, never>>,
  Assert<Same<Missing<Submit, NotYet['submit']>, never>>,
  Assert<Same<Extract<NonNullable<NonNullable<lib.TaskflowOptionsInput['repository']>['type']>, NotYet['repositories']>, never>>,
];
/** Optional members of the contract that the package lacks would pass `Same`: so their names are compared. */
export type OptionalMembers = [
  Assert<Same<Exclude<keyof api.Task, NotYet['task']>, keyof api.Task & keyof lib.Task>>,
  Assert<Same<Exclude<keyof api.SubmitParams<unknown>, NotYet['submit']>, keyof api.SubmitParams<unknown> & keyof Submit>>,
];

type Rejections<S extends { guard: { rejections: object } }> = S['guard']['rejections'];
type Stats = Omit<api.TaskSystemStats, 'guard'> & {
  readonly guard: Omit<api.TaskSystemStats['guard'], 'rejections'> & {
    readonly rejections: Omit<Rejections<api.TaskSystemStats>, NotYet['rejections']>;
  };
};
/** Options of the contract, but for the kinds of repository that are still to come. */
interface KnownRepository {
  type?: Exclude<NonNullable<NonNullable<api.TaskflowOptionsInput['repository']>['type']>, NotYet['repositories']>;
  [option: string]: any;
}
type Known<T> = Omit<T, 'repository'> & { repository?: KnownRepository };
type KnownInput = Known<api.TaskflowOptionsInput>;
/** The names of all options, as paths; what is in `repository` and `hooks` is not ours to count. */
type Leaves<T, At extends string = ''> = {
  [
    K in keyof T & string
  ]-?: K extends 'repository' | 'hooks' ? K : NonNullable<T[K]> extends infer V ? V extends object ? Leaves<V, `${At}${K}.`> : `${At}${K}` : never; // prettier-ignore
}[keyof T & string];
/** `getStats` apart, since what is in it may be missing too. */
type System<S extends { getStats(): unknown }, Names = never> = Omit<S, 'getStats' | Extract<Names, keyof S>>;

export type MadeAndRead = [
  Assert<Same<lib.TaskStatus, api.TaskStatus>>,
  Assert<Same<lib.TaskType, api.TaskType>>,
  Assert<Same<lib.TaskErrorInfo, api.TaskErrorInfo>>,
  Assert<Same<lib.Task<{ a: 1 }, { b: 1 }>, api.Task<{ a: 1 }, { b: 1 }>>>,
  Assert<Same<lib.TerminalEventType, api.TerminalEventType>>,
  Assert<Same<lib.TaskEventType, api.TaskEventType>>,
  Assert<Same<lib.ControlEntryType, api.ControlEntryType>>,
  Assert<Same<lib.TaskEvent<{ a: 1 }>, api.TaskEvent<{ a: 1 }>>>,
  Assert<Same<lib.StoredEvent, api.StoredEvent>>,
  Assert<Same<lib.EventLogEntry, api.EventLogEntry>>,
  Assert<Same<lib.TaskYield, api.TaskYield>>,
  Assert<Same<lib.TaskContext, api.TaskContext>>,
  Assert<Same<lib.RecoveryContext, api.RecoveryContext>>,
  Assert<Same<lib.RecoveryOutcome<{ a: 1 }>, api.RecoveryOutcome<{ a: 1 }>>>,
  Assert<Same<lib.HandlerResult<{ a: 1 }>, api.HandlerResult<{ a: 1 }>>>,
  Assert<Same<lib.TaskHandler<{ a: 1 }, { b: 1 }>, api.TaskHandler<{ a: 1 }, { b: 1 }>>>,
  Assert<Same<lib.TaskInterceptor, api.TaskInterceptor>>,
  Assert<Same<lib.TaskDefinition<{ a: 1 }, { b: 1 }>, api.TaskDefinition<{ a: 1 }, { b: 1 }>>>,
  Assert<Same<lib.RetryOptions, api.RetryOptions>>,
  Assert<Same<lib.StandardSchema<1>, api.StandardSchema<1>>>,
  Assert<Same<lib.TaskHandlerOptions, api.TaskHandlerOptions>>,
  Assert<Same<lib.SubmitParams<{ a: 1 }>, api.SubmitParams<{ a: 1 }>>>,
  Assert<Same<lib.TaskRef, api.TaskRef>>,
  Assert<Same<lib.OwnerOption, api.OwnerOption>>,
  Assert<Same<lib.SubscribeOptions, api.SubscribeOptions>>,
  Assert<Same<lib.ListOptions, api.ListOptions>>,
  Assert<Same<lib.Page<{ a: 1 }>, api.Page<{ a: 1 }>>>,
  Assert<Same<lib.InputOf<'none'>, api.InputOf<'none'>>>,
  Assert<Same<lib.ResultOf<'none'>, api.ResultOf<'none'>>>,
  Assert<Same<lib.TaskflowHooks, api.TaskflowHooks>>,
  Assert<Same<lib.TaskRepository, api.TaskRepository>>,
];

/** Users only make these: we take more, such as `undefined` for what is left out. */
export type Made = [
  Assert<Gives<KnownInput, lib.TaskflowOptionsInput>>,
  Assert<Same<Leaves<lib.TaskflowOptionsInput>, Exclude<Leaves<api.TaskflowOptionsInput>, NotYet['options']>>>,
  Assert<Gives<{ createTaskflowOptions(): KnownInput | Promise<KnownInput> }, lib.TaskflowOptionsFactory>>,
  Assert<Gives<{ useFactory: () => Promise<KnownInput> }, lib.TaskflowModuleAsyncOptions>>,
];

/** Users only read these; members may be added. */
export type Read = [
  Assert<Gives<lib.TaskMap, api.TaskMap>>,
  Assert<Gives<lib.TaskStream<{ a: 1 }>, api.TaskStream<{ a: 1 }>>>,
  Assert<Gives<lib.TaskSystemStats, Stats>>,
  Assert<Gives<System<lib.TaskSystem>, System<api.TaskSystem, NotYet['system']>>>,
  Assert<Gives<lib.DeadLetterService, api.DeadLetterService>>,
];

/** Every value of the contract: functions as they are, classes by their static members and instances (users construct few of them). */
type Instance<I> = I extends { getStats(): unknown } ? System<I, NotYet['system']> : I;
/** Parameters that are options, as `Made` compares them. */
type Options<T> = T extends unknown ? ('repository' extends keyof T ? Known<T> : 'useFactory' extends keyof T ? Omit<T, 'useFactory' | 'useClass' | 'useExisting'> : T) : never; // prettier-ignore
type Taking<F> = F extends (...args: infer Args) => infer R ? (...args: { [I in keyof Args]: Options<Args[I]> }) => R : F;
type Shape<T> = T extends abstract new (...args: never[]) => infer I
  ? { instance: Instance<I>; statics: { [K in Exclude<keyof T, 'prototype' | 'is'>]: Taking<T[K]> } }
  : T extends (...args: infer Args) => Promise<infer I extends { getStats(): unknown }>
    ? Taking<(...args: Args) => Promise<Instance<I>>>
    : T;
/** Namespaces of the contract that are sub-paths of the package: `nestjs-taskflow/client`. */
type SubPaths = 'client' | 'testing' | 'health';
type Members<T> = { [K in keyof T]: Shape<T[K]> };
type Values<T> = Members<Omit<T, NotYet['values'] | SubPaths>>;
export type EveryValue = Assert<Gives<Values<typeof lib>, Values<typeof import('./api-contract.js')>>>;

/** Users make options and read watches; members may be added to both. */
type Contract = typeof import('./api-contract.js');
export type Client = [
  Assert<Gives<typeof client, Contract['client']>>,
  Assert<Same<client.TaskMessage<{ a: 1 }>, api.client.TaskMessage<{ a: 1 }>>>,
  Assert<Gives<client.WatchEnd, api.client.WatchEnd>>,
  Assert<Gives<client.TaskWatch<{ a: 1 }>, api.client.TaskWatch<{ a: 1 }>>>,
  Assert<Gives<api.client.WatchOptions<{ a: 1 }>, client.WatchOptions<{ a: 1 }>>>,
  Assert<Same<Exclude<keyof api.client.WatchOptions, keyof client.WatchOptions>, never>>,
];

export type TestingKit = Assert<Gives<Members<typeof testing>, Members<Contract['testing']>>>;

/** Nest constructs it. */
type Indicator = InstanceType<Contract['health']['TaskflowHealthIndicator']>;
export type Health = Assert<Gives<InstanceType<typeof health.TaskflowHealthIndicator>, Indicator>>;
