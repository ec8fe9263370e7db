package com.example.orders;

/** What an owner's code looks up, and does not find. */
final class Catalogue {
    private Catalogue() {}

    static Catalogue ofRegion(String region) {
        throw new IllegalStateException("there is no catalogue of the region " + region);
    }

    static String nameOf(Long order) {
        return order < 0 ? "none" : null;
    }

    static Object priceOf(Long order) {
        return "12,50";
    }

    static int depth(long order) {
        return depth(order + 1) + 1;
    }
}
