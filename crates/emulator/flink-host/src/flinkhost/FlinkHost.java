package flinkhost;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.security.FlinkSecurityManager;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;

/**
 * One application's Flink: a JobManager and one TaskManager in this process, held by a parent through its pipes.
 *
 * <p>The parent writes lines to standard input: {@code slots NUMBER} and {@code set KEY VALUE} describe the cluster,
 * {@code start} starts it, {@code lose-task-manager} ends its TaskManager and brings up another one. The answers on
 * standard output are {@code ready REST-ADDRESS}, {@code done} and {@code failed REASON}. The end of standard input,
 * however it comes about, ends this process at once: a parent that is killed leaves no JVM behind.
 */
public final class FlinkHost {
    private final BufferedReader commands;
    private final PrintStream answers;
    private final Configuration configuration = new Configuration();
    private int slots = 1;
    private MiniCluster cluster;
    private int taskManager;

    private FlinkHost(BufferedReader commands, PrintStream answers) {
        this.commands = commands;
        this.answers = answers;
    }

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        // What a job prints must not be taken for an answer.
        System.setOut(System.err);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try {
            new FlinkHost(commands, answers).serve();
        } finally {
            // Not exit: a job's shutdown hook or a SecurityManager could hold it up.
            Runtime.getRuntime().halt(0);
        }
    }

    private void serve() throws IOException {
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            try {
                answers.println(obey(line.split(" ", 3)));
            } catch (Exception | LinkageError failure) {
                failure.printStackTrace();
                answers.println("failed " + describe(failure).replaceAll("\\s+", " "));
            }
        }
    }

    private String obey(String[] command) throws Exception {
        switch (command[0]) {
            case "slots":
                slots = Integer.parseInt(command[1]);
                return "done";
            case "set":
                configuration.setString(command[1], command[2]);
                return "done";
            case "start":
                // A cluster's entry points do this, a MiniCluster does not: System.exit in a job must not end it.
                FlinkSecurityManager.setFromConfiguration(configuration);
                cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                        .setConfiguration(configuration)
                        .setNumTaskManagers(1)
                        .setNumSlotsPerTaskManager(slots)
                        .build());
                cluster.start();
                return "ready " + cluster.getRestAddress().get();
            case "lose-task-manager":
                cluster.terminateTaskManager(taskManager).get();
                // The cluster keeps the lost one in its list, so the next one's index is one higher.
                cluster.startTaskManager();
                taskManager++;
                return "done";
            default:
                throw new IllegalArgumentException("unknown command " + command[0]);
        }
    }

    /** The failure and its causes, each but once: a cause's text is often part of what it caused. */
    private static String describe(Throwable failure) {
        StringBuilder description = new StringBuilder(failure.toString());
        for (Throwable cause = failure.getCause(); cause != null; cause = cause.getCause()) {
            if (description.indexOf(cause.toString()) < 0) {
                description.append(": ").append(cause);
            }
        }
        return description.toString();
    }
}
