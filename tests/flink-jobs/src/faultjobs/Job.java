package faultjobs;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Numbers → a counter in keyed state → a ledger, each with a uid of its own. */
final class Job {
    private Job() {}

    static void run(Fault variant) throws Exception {
        Settings settings = Settings.read(variant);
        switch (settings.fault) {
            case MAIN_THROWS:
                throw new IllegalStateException("injected: main throws");
            case NO_EXECUTE:
                return;
            case SYSTEM_EXIT:
                System.exit(1);
                return;
            default:
                submit(settings);
        }
    }

    private static void submit(Settings settings) throws Exception {
        Configuration configuration = new Configuration();
        if (settings.fault == Fault.NO_RESTART) {
            configuration.setString("restart-strategy.type", "none");
        }
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        long end = settings.fault == Fault.BOUNDED ? settings.records : Long.MAX_VALUE;
        environment
                .fromSource(
                        new Numbers(settings.recordsPerSecond, end), WatermarkStrategy.noWatermarks(), "Numbers", Types.LONG)
                .uid("numbers")
                .keyBy(number -> (int) (number % Ledger.KEYS), Types.INT)
                .process(new Counter(settings), Types.TUPLE(Types.INT, Types.LONG, Types.LONG))
                .name("Counter")
                .uid(settings.fault == Fault.REMOVED_UID ? "counter-renamed" : "counter")
                .process(new Ledger(settings.ledgerFile), Types.VOID)
                .name("Ledger")
                .uid("ledger")
                .setParallelism(1);
        environment.execute("counter");
    }
}
