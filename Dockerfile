# The library, installed under /usr/local, with a compiler to use it:
#     docker build -t wengert .
#     docker run --rm -it -v "$PWD":/src -w /src wengert
FROM debian:bookworm
COPY . /usr/src/wengert
WORKDIR /usr/src/wengert
RUN bash -c 'source scripts/packages.sh && require_packages "${packages_library[@]}" gnuplot-nox pkg-config' \
    && cmake --preset release -DWENGERT_TESTS=OFF \
    && cmake --build --preset release \
    && cmake --install build/release --prefix /usr/local \
    && rm -rf build /var/lib/apt/lists/*
WORKDIR /src
CMD ["bash"]
