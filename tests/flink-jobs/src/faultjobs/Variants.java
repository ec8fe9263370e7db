package faultjobs;

/** The main classes. The build makes a jar of each, named like it: OpenFails becomes {@code open-fails.jar}. */
public final class Variants {
    private Variants() {}

    /** See {@link Fault#NONE}. */
    public static final class Healthy {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.NONE);
        }
    }

    /** See {@link Fault#BOUNDED}. */
    public static final class Bounded {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.BOUNDED);
        }
    }

    /** See {@link Fault#MAIN_THROWS}. */
    public static final class MainThrows {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.MAIN_THROWS);
        }
    }

    /** See {@link Fault#NO_EXECUTE}. */
    public static final class NoExecute {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.NO_EXECUTE);
        }
    }

    /** See {@link Fault#SYSTEM_EXIT}. */
    public static final class SystemExit {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.SYSTEM_EXIT);
        }
    }

    /** See {@link Fault#OPEN_FAILS}. */
    public static final class OpenFails {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.OPEN_FAILS);
        }
    }

    /** See {@link Fault#FAILS_AFTER}. */
    public static final class FailsAfter {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.FAILS_AFTER);
        }
    }

    /** See {@link Fault#FAILS_ONCE}. */
    public static final class FailsOnce {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.FAILS_ONCE);
        }
    }

    /** See {@link Fault#NO_RESTART}. */
    public static final class NoRestart {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.NO_RESTART);
        }
    }

    /** See {@link Fault#SLOW_INIT}. */
    public static final class SlowInit {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.SLOW_INIT);
        }
    }

    /** See {@link Fault#SLOW_OPEN}. */
    public static final class SlowOpen {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.SLOW_OPEN);
        }
    }

    /** See {@link Fault#SNAPSHOT_FAILS}. */
    public static final class SnapshotFails {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.SNAPSHOT_FAILS);
        }
    }

    /** See {@link Fault#SLOW_SNAPSHOT}. */
    public static final class SlowSnapshot {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.SLOW_SNAPSHOT);
        }
    }

    /** See {@link Fault#INCOMPATIBLE_TYPE}. */
    public static final class IncompatibleType {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.INCOMPATIBLE_TYPE);
        }
    }

    /** See {@link Fault#REMOVED_UID}. */
    public static final class RemovedUid {
        public static void main(String[] arguments) throws Exception {
            Job.run(Fault.REMOVED_UID);
        }
    }
}
