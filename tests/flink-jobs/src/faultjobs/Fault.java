package faultjobs;

/** What is wrong with a job; see {@code facts/flink.md} for what each looks like from outside. */
enum Fault {
    /** Nothing. */
    NONE,
    /** Runs to an end by itself. */
    BOUNDED,
    /** {@code main} throws before it submits. */
    MAIN_THROWS,
    /** {@code main} ends without submitting a job. */
    NO_EXECUTE,
    /** {@code main} asks the JVM to exit. */
    SYSTEM_EXIT,
    /** An operator's {@code open} throws, at every attempt. */
    OPEN_FAILS,
    /** An operator throws some seconds after it was opened, at every attempt. */
    FAILS_AFTER,
    /** As FAILS_AFTER, at the first attempt alone. */
    FAILS_ONCE,
    /** As FAILS_AFTER, in a job that is not restarted. */
    NO_RESTART,
    /** An operator takes some seconds to restore its state. */
    SLOW_INIT,
    /** An operator takes some seconds to open. */
    SLOW_OPEN,
    /** An operator's snapshot throws. */
    SNAPSHOT_FAILS,
    /** An operator takes some seconds for its snapshot. */
    SLOW_SNAPSHOT,
    /** The counter's state is of another type than every other variant's. */
    INCOMPATIBLE_TYPE,
    /** The counter has another uid than every other variant's. */
    REMOVED_UID;

    /** The fault named like {@code open-fails}. */
    static Fault named(String name) {
        return valueOf(name.toUpperCase(java.util.Locale.ROOT).replace('-', '_'));
    }
}
