# Install rules and the package files (find_package, pkg-config).
include(GNUInstallDirs)
