// Types of the API, generated from its OpenAPI document by `python -m tests.support.api_types`. Do not edit.

export interface ActiveBatch {
  batch: number;
  worker: string;
  width: number;
  height: number;
  frames: number;
  started: number;
  predicted_seconds: number;
  eta_seconds: number | null;
  step: number;
  steps: number;
  runs: Array<RunningVideo>;
}

export interface BatchCounts {
  total: number;
  completed: number;
  failed: number;
}

export interface BatchError {
  code?: string | null;
  line?: number | null;
  message?: string | null;
  param?: string | null;
}

export interface BatchErrors {
  object: "list";
  data: Array<BatchError>;
}

export interface BatchList {
  object: "list";
  data: Array<BatchObject>;
  first_id?: string | null;
  last_id?: string | null;
  has_more: boolean;
}

export interface BatchObject {
  id: string;
  object: "batch";
  endpoint: string;
  errors?: BatchErrors | null;
  input_file_id: string;
  completion_window: string;
  status: string;
  output_file_id?: string | null;
  error_file_id?: string | null;
  created_at: number;
  in_progress_at?: number | null;
  expires_at?: number | null;
  finalizing_at?: number | null;
  completed_at?: number | null;
  failed_at?: number | null;
  expired_at?: number | null;
  cancelling_at?: number | null;
  cancelled_at?: number | null;
  request_counts: BatchCounts;
  metadata?: Record<string, unknown> | null;
}

export interface BatchRequest {
  input_file_id: string;
  endpoint: string;
  completion_window: string;
  metadata?: Record<string, string> | null;
}

export interface ControlInfo {
  name: string;
  about: string;
  preset: string | null;
}

export interface ErrorBody {
  error: ErrorObject;
}

export interface ErrorObject {
  message: string;
  type: string;
  param?: string | null;
  code?: string | null;
  problems: Array<FieldProblem>;
}

export interface FieldProblem {
  line?: number | null;
  field: string;
  found: string;
  message: string;
  remedy: string;
}

export interface File {
  id: string;
  object: "file";
  bytes: number;
  created_at: number;
  filename: string;
  purpose: string;
  status: "uploaded" | "processed" | "error";
  status_details?: string | null;
  expires_at?: number | null;
  width?: number | null;
  height?: number | null;
  frames?: number | null;
  fps?: number | null;
}

export interface FileDeleted {
  id: string;
  object: "file";
  deleted: boolean;
}

export interface FileList {
  object: "list";
  data: Array<File>;
  first_id?: string | null;
  last_id?: string | null;
  has_more: boolean;
}

export interface FolderEntry {
  path: string;
  name: string;
  folder: boolean;
  bytes: number;
}

export interface FolderListing {
  object: "list";
  path: string;
  parent: string | null;
  data: Array<FolderEntry>;
}

export interface ForecastBatch {
  runs: Array<WaitingGroup>;
  runs_total: number;
  width: number;
  height: number;
  frames: number;
  seconds: number;
  bytes: number;
  starts_in_seconds: number;
}

export interface ForecastLaunch {
  index: number;
  controls: Array<string>;
  reason: string;
  seconds: number;
  starts_in_seconds: number;
  runs_total: number;
  batches: Array<ForecastBatch>;
}

export interface Health {
  status: "ok" | "degraded" | "unavailable";
  detail: string;
}

export interface Model {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
}

export interface ModelList {
  object: "list";
  data: Array<Model>;
}

export interface PlanPreview {
  object: "plan";
  engine: string;
  runs: number;
  batches: number;
  seconds: number;
  bytes: number;
  one_by_one_seconds: number;
  forced_seconds: number;
  error: number | null;
  starts_in_seconds: number;
  launches: Array<Record<string, unknown>>;
}

export interface PlanRequest {
  runs: Array<VideoRequest>;
}

export interface PredictionPoint {
  batch: number;
  at: number;
  size: number;
  predicted_seconds: number;
  seconds: number;
}

export interface PriorityRequest {
  priority: number | "low" | "normal" | "high" | "urgent";
}

export interface Queue {
  object: "queue";
  mode: string;
  counts: Record<string, number>;
  seconds: number;
  groups: Array<ForecastLaunch>;
  running: Array<ActiveBatch>;
  workers: Array<WorkerInfo>;
  held_back: Record<string, string>;
  flushed: string | null;
  trouble: string | null;
}

export interface RatingRequest {
  rating: number | null;
}

export interface RunningVideo {
  id: string;
  prompt: string;
  priority: number;
  step: number;
  steps: number;
  eta_seconds: number | null;
}

export interface ServerInfo {
  object: "server";
  version: string;
  keys_required: boolean;
  signed_in: boolean;
  model: string;
  engine: string;
  controls: Array<string>;
  defaults: Record<string, unknown>;
  roots: Array<string>;
  limits: Record<string, number>;
  states: Array<StateInfo>;
  control_infos: Array<ControlInfo>;
  settings: Record<string, SettingInfo>;
  priorities: Record<string, number>;
  id_pattern: string;
}

export interface SettingInfo {
  type: "integer" | "number" | "string";
  minimum?: number | null;
  exclusive_minimum?: number | null;
  maximum?: number | null;
  pattern?: string | null;
  choices?: Array<string> | null;
}

export interface Spread {
  p50: number;
  p90: number;
}

export type State = "queued" | "leased" | "running" | "succeeded" | "failed" | "blocked" | "cancelled" | "preempted";

export interface StateInfo {
  name: State;
  label: string;
  ended: boolean;
  retryable: boolean;
}

export interface Stats {
  object: "stats";
  hours: number;
  bucket_seconds: number;
  buckets: Array<ThroughputBucket>;
  succeeded: number;
  engine_seconds: number;
  alone_seconds: number;
  saved_seconds: number;
  predictions: Array<PredictionPoint>;
  prediction_error: number | null;
  wait_seconds: Spread | null;
  run_seconds: Spread | null;
  batch_sizes: Record<string, number>;
}

export interface ThroughputBucket {
  at: number;
  succeeded: number;
  failed: number;
  blocked: number;
  cancelled: number;
  engine_seconds: number;
  alone_seconds: number;
}

export interface Video {
  id: string;
  object: "video";
  model: string;
  status: "queued" | "in_progress" | "completed" | "failed";
  progress: number;
  created_at: number;
  completed_at?: number | null;
  expires_at?: number | null;
  prompt: string;
  seconds: string;
  size: string;
  remixed_from_video_id?: string | null;
  error?: VideoError | null;
  state: string;
  reason: string;
  updated_at: number;
  priority: number;
  group: string;
  inputs: Record<string, string | null>;
  execution_config: Record<string, unknown>;
  job_type: string;
  step: number;
  steps: number;
  eta_seconds?: number | null;
  predicted_seconds?: number | null;
  seconds_taken?: number | null;
  batch?: number | null;
  failures: number;
  deaths: number;
  cancelling: boolean;
  batch_id?: string | null;
  custom_id?: string | null;
  rating?: number | null;
  variants: Array<string>;
}

export interface VideoAttempt {
  id: number;
  batch: number;
  worker: string;
  started: number;
  ended: number | null;
  outcome: string | null;
  cause: string;
  step: number;
  steps: number;
}

export interface VideoChange {
  id: number;
  state: string;
  reason: string;
  at: number;
}

export interface VideoDeleted {
  id: string;
  object: "video.deleted";
  deleted: boolean;
}

export interface VideoError {
  code: string;
  message: string;
}

export interface VideoHistory {
  object: "list";
  data: Array<VideoChange>;
  attempts: Array<VideoAttempt>;
}

export interface VideoList {
  object: "list";
  data: Array<Video>;
  first_id?: string | null;
  last_id?: string | null;
  has_more: boolean;
}

export interface VideoRequest {
  prompt: string;
  id?: string | null;
  inputs?: Record<string, string> | null;
  input_reference?: string | Record<string, string> | null;
  execution_config?: Record<string, unknown> | null;
  negative_prompt?: string | null;
  priority?: number | string | null;
  job_type?: string | null;
  model?: string | null;
  size?: string | null;
  seconds?: string | number | null;
}

export interface WaitingGroup {
  id: string;
  prompt: string;
  priority: number;
  state: string;
  reason: string;
}

export interface WorkerInfo {
  id: string;
  engine: string;
  device: string;
  state: string;
  trouble: string | null;
  batch: number | null;
  seen: number;
  alive: boolean;
}
