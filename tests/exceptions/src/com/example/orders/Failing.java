package com.example.orders;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import javax.net.ssl.SSLSocketFactory;

import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;

/** An owner's operator, which does something that goes wrong. */
class Failing extends RichMapFunction<Long, Long> {
    private static final List<byte[]> KEPT = Collections.synchronizedList(new ArrayList<>());
    private static final List<ByteBuffer> KEPT_DIRECTLY = Collections.synchronizedList(new ArrayList<>());

    private final String breakage;

    Failing(String breakage) {
        this.breakage = breakage;
    }

    @Override
    public void open(OpenContext context) throws Exception {
        switch (breakage) {
            case "open-throws":
                throw new IllegalStateException("the table of prices is empty");
            case "refused":
                new Socket("127.0.0.1", 1).close();
                break;
            case "unknown-host":
                InetAddress.getByName("broker-1.orders.invalid");
                break;
            case "no-tls":
                talk((server, port) -> SSLSocketFactory.getDefault().createSocket("127.0.0.1", port)
                        .getOutputStream().write(1));
                break;
            case "reset":
                talk((server, port) -> new Socket("127.0.0.1", port).getInputStream().read());
                break;
            case "read-timeout":
                talk((server, port) -> {
                    Socket socket = new Socket("127.0.0.1", server.getLocalPort());
                    socket.setSoTimeout(300);
                    socket.getInputStream().read();
                });
                break;
            case "http-timeout":
                try (ServerSocket silent = new ServerSocket(0)) {
                    URI uri = URI.create("http://127.0.0.1:" + silent.getLocalPort() + "/rates");
                    HttpRequest request = HttpRequest.newBuilder(uri).timeout(Duration.ofMillis(300)).build();
                    HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
                }
                break;
            default:
        }
    }

    /** Somebody who talks to a server. */
    private interface Talk {
        void to(ServerSocket server, int port) throws IOException;
    }

    private void talk(Talk talk) throws IOException {
        try (ServerSocket server = new ServerSocket(0)) {
            Thread answers = new Thread(() -> answer(server));
            answers.setDaemon(true);
            answers.start();
            talk.to(server, server.getLocalPort());
        }
    }

    private void answer(ServerSocket server) {
        try (Socket client = server.accept()) {
            if (breakage.equals("no-tls")) {
                client.getOutputStream().write("220 mail ready\r\n".getBytes("US-ASCII"));
                client.getInputStream().read(new byte[512]);
            } else if (breakage.equals("reset")) {
                client.setSoLinger(true, 0);
            } else {
                Thread.sleep(2_000);
            }
        } catch (IOException | InterruptedException over) {
            // The other side has gone, as it should.
        }
    }

    @Override
    public Long map(Long order) throws Exception {
        if (order % 20 != 19) {
            return order;
        }
        switch (breakage) {
            case "null-pointer":
                return (long) Catalogue.nameOf(order).length();
            case "class-cast":
                return ((Number) Catalogue.priceOf(order)).longValue();
            case "number-format":
                return Long.parseLong((String) Catalogue.priceOf(order));
            case "array-index":
                return new long[] {1, 2, 3}[order.intValue() % 20];
            case "division":
                return order / (order % 20 - 19);
            case "stack-overflow":
                return (long) Catalogue.depth(order);
            case "missing-class":
                return Left.out(order);
            case "missing-method":
                return (long) Rates.of("EUR");
            case "heap":
                while (true) {
                    KEPT.add(new byte[8 << 20]);
                }
            case "direct-memory":
                while (true) {
                    KEPT_DIRECTLY.add(ByteBuffer.allocateDirect(8 << 20));
                }
            case "wrapped":
                try {
                    return Long.parseLong((String) Catalogue.priceOf(order));
                } catch (NumberFormatException unreadable) {
                    throw new IllegalArgumentException("order " + order + " cannot be read", unreadable);
                }
            default:
                return order;
        }
    }

    /** Holds what cannot be sent to a TaskManager. */
    static final class WithALock implements MapFunction<Long, Long> {
        private final Object connection = new Object() {
            private final ReentrantLock lock = new ReentrantLock();
        };

        @Override
        public Long map(Long order) {
            return connection == null ? null : order;
        }
    }

    /** A basket whose items cannot be added to, so that Kryo cannot read it again. */
    static final class Basket {
        final List<Long> items;

        Basket(List<Long> items) {
            this.items = items;
        }
    }

    /** Orders to baskets. */
    static final class ToBasket implements MapFunction<Long, Basket> {
        @Override
        public Basket map(Long order) {
            return new Basket(Collections.unmodifiableList(new ArrayList<>(Collections.singletonList(order))));
        }
    }

    /** Baskets to orders. */
    static final class OfBasket implements MapFunction<Basket, Long> {
        @Override
        public Long map(Basket basket) {
            return basket.items.get(0);
        }
    }
}
