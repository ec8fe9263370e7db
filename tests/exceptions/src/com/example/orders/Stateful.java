package com.example.orders;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** An owner's operators with state. */
final class Stateful {
    private Stateful() {}

    static void build(StreamExecutionEnvironment environment, DataStream<Long> orders, String breakage) {
        if (breakage.equals("max-parallelism")) {
            environment.setMaxParallelism(64);
        }
        String uid = breakage.equals("removed-operator") ? "totals-by-customer" : "totals";
        if (breakage.equals("key-type")) {
            orders.keyBy(order -> Long.toString(order % 4), Types.STRING)
                    .process(new Totals<String>(breakage), Types.LONG).name("Totals").uid(uid);
        } else {
            orders.keyBy(order -> order % 4, Types.LONG)
                    .process(new Totals<Long>(breakage), Types.LONG).name("Totals").uid(uid);
        }
    }

    /** Counts the orders of each key. */
    private static final class Totals<Key> extends KeyedProcessFunction<Key, Long, Long> implements CheckpointedFunction {
        private final String breakage;
        private transient ValueState<Long> total;
        private transient ValueState<String> text;
        private transient ListState<byte[]> attachments;

        Totals(String breakage) {
            this.breakage = breakage;
        }

        @Override
        public void open(OpenContext context) {
            if (breakage.equals("state-type")) {
                text = getRuntimeContext().getState(new ValueStateDescriptor<>("total", Types.STRING));
            } else {
                total = getRuntimeContext().getState(new ValueStateDescriptor<>("total", Types.LONG));
            }
        }

        @Override
        public void processElement(Long order, Context context, Collector<Long> out) throws Exception {
            if (text != null) {
                text.update(order.toString());
                return;
            }
            Long before = total.value();
            total.update(before == null ? 1 : before + 1);
            out.collect(total.value());
        }

        @Override
        public void initializeState(FunctionInitializationContext context) throws Exception {
            attachments = context.getOperatorStateStore()
                    .getListState(new ListStateDescriptor<>("attachments", byte[].class));
        }

        @Override
        public void snapshotState(FunctionSnapshotContext context) throws Exception {
            switch (breakage) {
                case "checkpoint-tolerance":
                    throw new java.io.IOException("the ledger is locked");
                case "checkpoint-expired":
                    Thread.sleep(3_000);
                    break;
                case "state-too-large":
                    attachments.clear();
                    attachments.add(new byte[8 << 20]);
                    break;
                default:
            }
        }
    }
}
