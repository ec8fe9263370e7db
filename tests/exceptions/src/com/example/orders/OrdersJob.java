package com.example.orders;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;

/**
 * A job as its owner would write it, which fails as the first argument says. Nothing is made up: what is recorded is what
 * the JVM, Flink or the operating system throws at it.
 */
public final class OrdersJob {
    private OrdersJob() {}

    public static void main(String[] arguments) throws Exception {
        String breakage = arguments[0];
        Configuration configuration = new Configuration();
        if (breakage.equals("bad-option")) {
            configuration.setString("execution.checkpointing.interval", "soon");
        }
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        switch (breakage) {
            case "main-throws":
                Catalogue.ofRegion("eu-nowhere-1");
                break;
            case "missing-property":
                required("source.stream", "--sink.stream", "shipments");
                break;
            case "not-serializable":
                orders(environment).map(new Failing.WithALock());
                break;
            case "erased-types":
                orders(environment).map(order -> org.apache.flink.api.java.tuple.Tuple2.of(order, "new")).print();
                break;
            case "duplicate-uid":
                orders(environment).map(order -> order).returns(Types.LONG).uid("enrich")
                        .map(order -> order).returns(Types.LONG).uid("enrich");
                break;
            case "no-timestamps":
                orders(environment).keyBy(order -> order % 2, Types.LONG)
                        .window(TumblingEventTimeWindows.of(java.time.Duration.ofSeconds(5)))
                        .sum(0);
                break;
            case "null-key":
                orders(environment).keyBy(order -> (String) null, Types.STRING).map(new Failing("healthy"), Types.LONG);
                break;
            case "slots":
                orders(environment).map(new Failing("healthy")).setParallelism(64);
                break;
            case "network-buffers":
                orders(environment).rebalance().map(new Failing("healthy")).setParallelism(8).rebalance()
                        .map(new Failing("healthy")).setParallelism(8);
                break;
            case "stateful":
            case "key-type":
            case "state-type":
            case "removed-operator":
            case "max-parallelism":
            case "checkpoint-tolerance":
            case "checkpoint-expired":
            case "state-too-large":
                Stateful.build(environment, orders(environment), breakage);
                break;
            case "kryo":
                orders(environment).map(new Failing.ToBasket()).rebalance().map(new Failing.OfBasket());
                break;
            default:
                orders(environment).map(new Failing(breakage)).name("Enrich").uid("enrich");
        }
        environment.execute("orders");
    }


    /** By Flink's own reader of parameters, which has another package in Flink 2. */
    private static String required(String name, String... arguments) throws Exception {
        Class<?> tool;
        try {
            tool = Class.forName("org.apache.flink.util.ParameterTool");
        } catch (ClassNotFoundException flink1) {
            tool = Class.forName("org.apache.flink.api.java.utils.ParameterTool");
        }
        Object read = tool.getMethod("fromArgs", String[].class).invoke(null, (Object) arguments);
        return (String) tool.getMethod("getRequired", String.class).invoke(read, name);
    }

    private static DataStream<Long> orders(StreamExecutionEnvironment environment) {
        SingleOutputStreamOperator<Long> orders = environment
                .fromSource(new NumberSequenceSource(0, Long.MAX_VALUE), WatermarkStrategy.noWatermarks(), "Orders")
                .uid("orders")
                .process(new Slowly(), Types.LONG)
                .name("Slowly")
                .uid("slowly");
        return orders;
    }

    /** Some hundred a second are enough. */
    private static final class Slowly extends ProcessFunction<Long, Long> {
        @Override
        public void processElement(Long order, Context context, Collector<Long> out) throws Exception {
            Thread.sleep(5);
            out.collect(order);
        }
    }
}
