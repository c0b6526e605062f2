/** What Pulumi's engine did in an update, as its event log tells. */
export interface Events {
  /** Whether anything was made, changed or deleted. */
  changed: boolean;
  /** What resources said and errors say, in their order; the last line of an error is its cause. */
  notes: string[];
  errors: string[];
}

/** The parts of an engine event that are read here: https://pkg.go.dev/github.com/pulumi/pulumi/sdk/v3/go/common/apitype#EngineEvent */
interface EngineEvent {
  diagnosticEvent?: { message: string; severity: string; ephemeral?: boolean };
  summaryEvent?: { resourceChanges: Record<string, number> };
  /** Comes when an operation begins. */
  resourcePreEvent?: { metadata: { op: string } };
}

/** @param log lines of JSON, the last of which an end may have cut off */
export function parseEvents(log: string): Events {
  const events = log.split("\n").flatMap((line): EngineEvent[] => {
    try {
      return [JSON.parse(line) as EngineEvent];
    } catch {
      return [];
    }
  });
  const said = events.flatMap(({ diagnosticEvent }) => diagnosticEvent ?? []);
  const texts = (severity: RegExp) =>
    said
      .filter((event) => severity.test(event.severity))
      .map(({ message }) => plain(message))
      .filter((text) => text !== "" && text !== "update failed");
  const summaries = events.flatMap(({ summaryEvent }) => summaryEvent ?? []);
  // An engine that was killed tells no summary: then what it had begun counts.
  const kinds =
    summaries.length > 0
      ? summaries.flatMap(({ resourceChanges }) => Object.keys(resourceChanges))
      : events.flatMap(({ resourcePreEvent }) => resourcePreEvent?.metadata.op ?? []);
  return {
    changed: kinds.some((kind) => kind !== "same"),
    notes: texts(/^info/),
    errors: texts(/^error$/),
  };
}

/** A message without Pulumi's colours, `<{%reset%}>`. */
const plain = (message: string) => message.replace(/<\{%[^%]*%\}>/g, "").trim();
