package faultjobs;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Counts the numbers of each key in keyed state, and goes wrong in the way asked for. Emits (key, count, number). */
final class Counter extends KeyedProcessFunction<Integer, Long, Tuple3<Integer, Long, Long>>
        implements CheckpointedFunction {
    private static final long serialVersionUID = 1L;

    private final Settings settings;
    private transient ValueState<Long> count;
    private transient ValueState<String> text;
    private transient long failsAt;

    Counter(Settings settings) {
        this.settings = settings;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        takeTimeIf(Fault.SLOW_INIT);
    }

    @Override
    public void open(OpenContext context) throws Exception {
        if (settings.fault == Fault.OPEN_FAILS) {
            throw new IllegalStateException("injected: open fails");
        }
        takeTimeIf(Fault.SLOW_OPEN);
        if (settings.fault == Fault.INCOMPATIBLE_TYPE) {
            text = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.STRING));
        } else {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
        }
        failsAt = System.nanoTime() + settings.afterSeconds * 1_000_000_000L;
    }

    @Override
    public void processElement(Long number, Context context, Collector<Tuple3<Integer, Long, Long>> output)
            throws Exception {
        if (failsNow()) {
            throw new IllegalStateException("injected: fails after " + settings.afterSeconds + " s");
        }
        long counted = increment();
        output.collect(Tuple3.of(context.getCurrentKey(), counted, number));
    }

    private boolean failsNow() {
        switch (settings.fault) {
            case FAILS_AFTER:
            case NO_RESTART:
                return System.nanoTime() - failsAt >= 0;
            case FAILS_ONCE:
                return getRuntimeContext().getTaskInfo().getAttemptNumber() == 0 && System.nanoTime() - failsAt >= 0;
            default:
                return false;
        }
    }

    private long increment() throws Exception {
        if (text != null) {
            long counted = text.value() == null ? 1 : Long.parseLong(text.value()) + 1;
            text.update(Long.toString(counted));
            return counted;
        }
        long counted = count.value() == null ? 1 : count.value() + 1;
        count.update(counted);
        return counted;
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        if (settings.fault == Fault.SNAPSHOT_FAILS) {
            throw new IllegalStateException("injected: snapshot fails");
        }
        takeTimeIf(Fault.SLOW_SNAPSHOT);
    }

    private void takeTimeIf(Fault fault) throws InterruptedException {
        if (settings.fault == fault) {
            Thread.sleep(settings.afterSeconds * 1000);
        }
    }
}
