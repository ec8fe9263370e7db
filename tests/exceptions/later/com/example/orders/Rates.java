package com.example.orders;

/** The same dependency, a version later: the method has another parameter. */
public final class Rates {
    private Rates() {}

    public static double of(java.util.Currency currency) {
        return 1;
    }
}
