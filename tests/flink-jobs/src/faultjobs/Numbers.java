package faultjobs;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Emits 0, 1, 2, … at a rate, without a gap and without a repetition as far as its checkpointed state reaches back:
 * whatever else is counted downstream was lost or counted twice there. One split, whatever the parallelism, so that
 * there is one order.
 */
final class Numbers implements Source<Long, Numbers.Split, Boolean> {
    private static final long serialVersionUID = 1L;

    private final long perSecond;
    private final long end;

    /** Emits {@code perSecond} numbers a second, and ends before {@code end}; never where that is {@link Long#MAX_VALUE}. */
    Numbers(long perSecond, long end) {
        this.perSecond = perSecond;
        this.end = end;
    }

    @Override
    public Boundedness getBoundedness() {
        return end == Long.MAX_VALUE ? Boundedness.CONTINUOUS_UNBOUNDED : Boundedness.BOUNDED;
    }

    @Override
    public SourceReader<Long, Split> createReader(SourceReaderContext context) {
        return new Reader();
    }

    @Override
    public SplitEnumerator<Split, Boolean> createEnumerator(SplitEnumeratorContext<Split> context) {
        return new Enumerator(context, true);
    }

    @Override
    public SplitEnumerator<Split, Boolean> restoreEnumerator(SplitEnumeratorContext<Split> context, Boolean unassigned) {
        return new Enumerator(context, unassigned);
    }

    @Override
    public SimpleVersionedSerializer<Split> getSplitSerializer() {
        return new SplitSerializer();
    }

    @Override
    public SimpleVersionedSerializer<Boolean> getEnumeratorCheckpointSerializer() {
        return new FlagSerializer();
    }

    /** All numbers from {@code next} on. */
    static final class Split implements SourceSplit {
        final long next;

        Split(long next) {
            this.next = next;
        }

        @Override
        public String splitId() {
            return "numbers";
        }
    }

    /** Gives the one split to the first reader that registers. */
    private final class Enumerator implements SplitEnumerator<Split, Boolean> {
        private final SplitEnumeratorContext<Split> context;
        private final Deque<Split> unassigned = new ArrayDeque<>();

        Enumerator(SplitEnumeratorContext<Split> context, boolean unassigned) {
            this.context = context;
            if (unassigned) {
                this.unassigned.add(new Split(0));
            }
        }

        @Override
        public void start() {}

        @Override
        public void handleSplitRequest(int reader, String host) {}

        @Override
        public void addSplitsBack(List<Split> splits, int reader) {
            unassigned.addAll(splits);
        }

        @Override
        public void addReader(int reader) {
            for (Split split = unassigned.poll(); split != null; split = unassigned.poll()) {
                context.assignSplit(split, reader);
            }
            if (getBoundedness() == Boundedness.BOUNDED) {
                context.signalNoMoreSplits(reader);
            }
        }

        @Override
        public Boolean snapshotState(long checkpoint) {
            return !unassigned.isEmpty();
        }

        @Override
        public void close() {}
    }

    /** Emits the numbers that are due. */
    private final class Reader implements SourceReader<Long, Split> {
        private CompletableFuture<Void> assigned = new CompletableFuture<>();
        private boolean holdsSplit;
        private boolean noMoreSplits;
        private long next;
        private long first;
        private long startedAt;

        @Override
        public void start() {}

        @Override
        public InputStatus pollNext(ReaderOutput<Long> output) {
            if (holdsSplit && next < end && next <= due()) {
                output.collect(next++);
                return next <= due() ? InputStatus.MORE_AVAILABLE : InputStatus.NOTHING_AVAILABLE;
            }
            boolean ended = holdsSplit ? next >= end : noMoreSplits;
            return ended ? InputStatus.END_OF_INPUT : InputStatus.NOTHING_AVAILABLE;
        }

        private long due() {
            return first + TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - startedAt) * perSecond / 1000;
        }

        @Override
        public List<Split> snapshotState(long checkpoint) {
            return holdsSplit ? Collections.singletonList(new Split(next)) : new ArrayList<>();
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            if (!holdsSplit) {
                return assigned;
            }
            return CompletableFuture.runAsync(
                    () -> {}, CompletableFuture.delayedExecutor(1 + 500 / perSecond, TimeUnit.MILLISECONDS));
        }

        @Override
        public void addSplits(List<Split> splits) {
            next = splits.get(0).next;
            first = next;
            startedAt = System.nanoTime();
            holdsSplit = true;
            assigned.complete(null);
        }

        @Override
        public void notifyNoMoreSplits() {
            noMoreSplits = true;
            assigned.complete(null);
        }

        @Override
        public void close() {}
    }

    private static final class SplitSerializer implements SimpleVersionedSerializer<Split> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Split split) {
            return ByteBuffer.allocate(Long.BYTES).putLong(split.next).array();
        }

        @Override
        public Split deserialize(int version, byte[] bytes) {
            return new Split(ByteBuffer.wrap(bytes).getLong());
        }
    }

    private static final class FlagSerializer implements SimpleVersionedSerializer<Boolean> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Boolean flag) {
            return new byte[] {(byte) (flag ? 1 : 0)};
        }

        @Override
        public Boolean deserialize(int version, byte[] bytes) {
            return bytes[0] == 1;
        }
    }
}
