package faultjobs;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Iterator;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Writes down what the counter's keyed state says, so that it can be read back exactly. A number n is the k-th of its
 * key n % KEYS, with k = n / KEYS + 1; a tally that says otherwise was lost, repeated or counted on lost state, and is
 * <em>misplaced</em>. So a snapshot with none misplaced, and as many counted as its highest number + 1, has every number
 * exactly once. A line of JSON is written at each start, at each restore and in each snapshot, which holds exactly
 * what that snapshot holds; the gauges {@code counted} and {@code misplaced} show the same live.
 */
final class Ledger extends ProcessFunction<Tuple3<Integer, Long, Long>, Void> implements CheckpointedFunction {
    private static final long serialVersionUID = 1L;

    /** How many keys there are. */
    static final int KEYS = 8;

    private final String file;
    private transient ListState<Long> kept;
    private transient long[] counts;
    private transient long misplaced;
    private transient long highest;

    Ledger(String file) {
        this.file = file;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        kept = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("ledger", Types.LONG));
        counts = new long[KEYS];
        misplaced = 0;
        highest = -1;
        Iterator<Long> restored = kept.get().iterator();
        if (restored.hasNext()) {
            misplaced = restored.next();
            highest = restored.next();
            for (int key = 0; key < KEYS; key++) {
                counts[key] = restored.next();
            }
        }
        if (context.isRestored()) {
            write("restored", context.getRestoredCheckpointId().orElse(-1));
        } else {
            write("started", -1);
        }
    }

    @Override
    public void open(OpenContext context) {
        getRuntimeContext().getMetricGroup().gauge("counted", (Gauge<Long>) this::counted);
        getRuntimeContext().getMetricGroup().gauge("misplaced", (Gauge<Long>) () -> misplaced);
    }

    @Override
    public void processElement(Tuple3<Integer, Long, Long> tally, Context context, Collector<Void> output) {
        int key = tally.f0;
        long count = tally.f1;
        long number = tally.f2;
        if (number != key + KEYS * (count - 1)) {
            misplaced++;
        }
        counts[key] = count;
        highest = Math.max(highest, number);
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        kept.clear();
        kept.add(misplaced);
        kept.add(highest);
        for (long count : counts) {
            kept.add(count);
        }
        write("snapshot", context.getCheckpointId());
    }

    private long counted() {
        return Arrays.stream(counts).sum();
    }

    private void write(String event, long checkpoint) throws IOException {
        if (file.isEmpty()) {
            return;
        }
        String line = String.format(
                "{\"event\":\"%s\",\"checkpoint\":%d,\"counted\":%d,\"highest\":%d,\"misplaced\":%d}%n",
                event, checkpoint, counted(), highest, misplaced);
        Files.write(
                Paths.get(file),
                line.getBytes(StandardCharsets.UTF_8),
                StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
    }
}
