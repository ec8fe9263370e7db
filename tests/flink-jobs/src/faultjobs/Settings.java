package faultjobs;

import java.io.File;
import java.io.IOException;
import java.io.Serializable;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * The job's runtime properties, from the file that the service gives to jobs: its place is the system property
 * {@code application.properties.file}, and without one that of the service. All are in the group {@code Job}; each may
 * be left out.
 */
final class Settings implements Serializable {
    private static final long serialVersionUID = 1L;
    private static final String SERVICE_FILE = "/etc/flink/application_properties.json";

    /** What is wrong with the job: {@code fault}, else what the main class says. */
    final Fault fault;
    /** {@code records.per.second}: how fast numbers are emitted. */
    final long recordsPerSecond;
    /** {@code records}: how many numbers a bounded job emits. */
    final long records;
    /** {@code after.seconds}: after how long a job fails, or how long what is slow takes. */
    final long afterSeconds;
    /** {@code ledger.file}: where the ledger writes what it counted; empty for nowhere. */
    final String ledgerFile;

    private Settings(Fault fault, JsonNode properties) {
        this.fault = properties.has("fault") ? Fault.named(properties.get("fault").asText()) : fault;
        recordsPerSecond = Math.max(1, properties.path("records.per.second").asLong(100));
        records = properties.path("records").asLong(300);
        afterSeconds = properties.path("after.seconds").asLong(3);
        ledgerFile = properties.path("ledger.file").asText("");
    }

    static Settings read(Fault fault) throws IOException {
        File file = new File(System.getProperty("application.properties.file", SERVICE_FILE));
        ObjectMapper mapper = new ObjectMapper();
        if (file.exists()) {
            for (JsonNode group : mapper.readTree(file)) {
                if (group.path("PropertyGroupId").asText().equals("Job")) {
                    return new Settings(fault, group.path("PropertyMap"));
                }
            }
        }
        return new Settings(fault, mapper.createObjectNode());
    }
}
