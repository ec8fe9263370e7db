package com.example.orders;

/** Not packed into the JAR. */
final class Left {
    private Left() {}

    static long out(long order) {
        return order;
    }
}
