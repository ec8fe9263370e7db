//! What each kind of failure usually means, and what to do about it.

use super::Kind;

impl Kind {
    /// What it usually means.
    pub fn meaning(self) -> &'static str {
        self.about().0
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        self.about().1
    }

    #[expect(clippy::too_many_lines, reason = "all kinds, each in its words")]
    fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::OwnException => {
                ("The job's own code threw it.", "Look at the frame: correct the code, or what it was given to read.")
            }
            Self::MissingClass => (
                "A class or a method that the code was compiled with is not in the JAR, or is there in another version.",
                "Build the JAR with its dependencies for this Flink version, and look for one that is there twice.",
            ),
            Self::UnusableJar => (
                "The JAR cannot be run: it is cut short, or names no main class.",
                "Build it again, with a Main-Class in its manifest, and upload it whole.",
            ),
            Self::NoJob => (
                "The main method ended without a job.",
                "Call execute() on the environment, on every way through main.",
            ),
            Self::NotSerializable => (
                "A function holds an object that cannot be sent to the TaskManagers.",
                "Make it transient and create it in open(), or keep the function from capturing what is around it.",
            ),
            Self::UnknownTypes => (
                "Flink cannot tell the type that a function returns, since Java has erased it.",
                "Name it by returns(...), or write the lambda as a class.",
            ),
            Self::Serializer => (
                "Kryo cannot write or read a type of the stream.",
                "Make the type a POJO or an Avro record, or register a serializer for it.",
            ),
            Self::NullKey => ("A record has no key.", "Filter such records out before keyBy, or give them a key."),
            Self::NoTimestamps => (
                "There is a window in event time, and the records have no timestamps.",
                "Assign timestamps and watermarks at the source, or use processing time.",
            ),
            Self::DuplicateUid => (
                "Two operators have the same uid.",
                "Give each operator a uid of its own; keep those that have state already.",
            ),
            Self::StackOverflow => (
                "The code calls itself without an end, or a type is nested deeper than its serializer can go.",
                "Look at the frame that repeats.",
            ),
            Self::OperatorRemoved => (
                "The snapshot has state of an operator that the new code does not have: it was removed, or its uid changed.",
                "Give the operator its old uid back; where its state is to be dropped, deploy with allowNonRestoredState.",
            ),
            Self::MaxParallelism => (
                "The snapshot was taken with another maximum parallelism, which cannot be changed with state.",
                "Set the old maximum parallelism in the code, or start without state.",
            ),
            Self::StateType => (
                "The type of a state or key is another one than in the snapshot, and cannot be read as the new one.",
                "Keep the type, evolve it as its serializer allows, or give the operator a new uid and fill its state anew.",
            ),
            Self::SnapshotMissing => {
                ("The snapshot that the job is to begin with is not there any more.", "Deploy from another snapshot.")
            }
            Self::MissingParameter => (
                "The job asks for a parameter that it is not given.",
                "Add it to the application's runtime properties; mind the property group's name.",
            ),
            Self::BadOption => (
                "A configuration option has a value that Flink cannot read.",
                "Correct the value of the option that the message names.",
            ),
            Self::AccessDenied => (
                "The application's role, or the user that the job signs in as, may not do this.",
                "Add the permission that the message names to the application's role; look at resource and key policies too.",
            ),
            Self::Throttled => (
                "A source or sink takes no more from this job.",
                "Raise its capacity or quota, or lower the job's rate: batch, back off, and use fewer consumers of a shard.",
            ),
            Self::HeapMemory => (
                "The job's heap is full.",
                "Look at heapMemoryUtilization; raise the parallelism or lower ParallelismPerKPU, and keep less per record and key.",
            ),
            Self::DirectMemory => (
                "Memory outside of the heap is used up, by buffers of the job or of a client that it uses.",
                "Lower ParallelismPerKPU, and look for clients that are created and never closed.",
            ),
            Self::Metaspace => (
                "There is no room for more classes; each restart of a job that leaks its classes takes some.",
                "Stop and start the application; look for threads and static fields that outlive the job.",
            ),
            Self::OutOfMemory => (
                "The JVM is out of memory, or of threads.",
                "Look at the message for which; lower ParallelismPerKPU, and look for threads that are never ended.",
            ),
            Self::Disk => (
                "The disk of a TaskManager is full: state in RocksDB, or what the job writes there.",
                "Lower ParallelismPerKPU for more disk per task, and let state expire.",
            ),
            Self::NetworkBuffers => (
                "There are too few network buffers for the exchanges between tasks; they grow with the square of the parallelism.",
                "Lower the parallelism, or use fewer shuffles.",
            ),
            Self::Slots => (
                "The job wants more slots than the application has.",
                "Set no parallelism in the code above the application's, or raise the application's.",
            ),
            Self::LostTaskManager => (
                "A TaskManager went away. That is an effect, not a cause: mostly of memory or CPU, sometimes of maintenance.",
                "Look at heapMemoryUtilization and cpuUtilization right before it, and in the log for what came first.",
            ),
            Self::CheckpointsExpire => (
                "Checkpoints do not end in time: by backpressure, by one task that has much more to do than others, or by the \
                 size of the state.",
                "Look at the checkpoints' history in the Flink dashboard. A long start delay is backpressure: raise the \
                 parallelism or quicken the slowest operator; buffer debloating and unaligned checkpoints, which AWS support sets, \
                 help checkpoints, but not snapshots, which always align. One subtask far slower than the others is skew: \
                 distribute the keys better. All slow in their asynchronous part is size: let state expire, or checkpoint \
                 incrementally.",
            ),
            Self::CheckpointsFail => (
                "Checkpoints fail, and more of them than the job tolerates.",
                "Look for the cause in the checkpoints' history in the Flink dashboard, and in the log.",
            ),
            Self::Tls => (
                "The two sides do not agree on TLS: no TLS at that port, or a certificate that is not trusted.",
                "Compare port and protocol with what the other side offers, and the trust store with its certificate.",
            ),
            Self::UnknownHost => (
                "A host name cannot be resolved.",
                "Compare the name with what was meant, and look at the VPC's DNS settings.",
            ),
            Self::Unreachable => (
                "Nothing answers at that address, or it hangs up.",
                "Look at security groups, routes and the port, and whether the other side is up.",
            ),
            Self::TimedOut => (
                "The other side does not answer in time.",
                "Look at security groups and routes, which drop silently, and at how busy the other side is.",
            ),
            Self::ServiceGaveUp => (
                "The service did not carry out its operation.",
                "Look at the application in the console; if it stays so, ask AWS support, with the operation's id.",
            ),
            Self::Unknown => (
                "What is known does not tell the cause.",
                "Look in the application's log for the first exception: later ones are mostly its echoes.",
            ),
        }
    }
}
