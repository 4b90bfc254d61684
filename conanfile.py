"""The recipe of Conan 2: `conan create . --build=missing -s compiler.cppstd=20` (docs/packages.md)."""
import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load
from conan.tools.system.package_manager import Apt

required_conan_version = ">=2.0"


class WengertConan(ConanFile):
    name = "wengert"
    description = "Reverse-mode automatic differentiation: one tape for scalars and tensors"
    license = "Apache-2.0"
    topics = ("automatic-differentiation", "gradient", "neural-network", "optimization")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "mpi": [True, False]}  # no fPIC: static libraries are position-independent too
    default_options = {"shared": False, "mpi": False}
    exports_sources = ("CMakeLists.txt", "LICENSE", "README.md", "autodiff/*", "cmake/*", "nn/*", "optim/*")
    test_package_folder = os.path.join("tests", "consumer", "conan")

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "autodiff", "version.h"))
        self.version = re.search(r'WENGERT_VERSION_STRING "(.+)"', header)[1]

    def requirements(self):
        self.requires("fmt/[>=9 <11]")
        self.requires("libpng/[>=1.6 <2]")
        self.requires("zlib/[>=1.2.11 <2]")
        # Headers, for the build alone.
        self.requires("highway/[>=1.0.3 <2]", libs=False, visible=False)
        self.requires("nlohmann_json/[>=3.11 <4]", visible=False)

    def system_requirements(self):
        """What Conan Center lacks (Random123), and MPI, which has to be that of the machine."""
        Apt(self).install(["librandom123-dev"], host_package=False)
        if self.options.mpi:
            Apt(self).install(["libopenmpi-dev", "openmpi-bin"])

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("wengert is built on Linux alone")
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False
        toolchain.cache_variables["WENGERT_TESTS"] = False
        toolchain.cache_variables["WENGERT_EXAMPLES"] = False
        toolchain.cache_variables["WENGERT_MPI"] = bool(self.options.mpi)
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # CMake takes the package files of the project. What follows them is for all other generators.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self._component("autodiff", ["fmt::fmt", "zlib::zlib"])
        self.cpp_info.components["autodiff"].builddirs = [os.path.join("lib", "cmake", "wengert")]
        self.cpp_info.components["autodiff"].system_libs = ["dl", "m", "pthread"]
        self._component("optim", ["autodiff", "fmt::fmt"])
        self._component("nn", ["optim", "autodiff", "fmt::fmt", "libpng::libpng", "zlib::zlib"])
        if self.options.mpi:
            self._component("distributed", ["optim", "autodiff", "fmt::fmt"])

    def _component(self, name, requires):
        component = self.cpp_info.components[name]
        component.libs = [f"wengert_{name}"]
        component.includedirs = [os.path.join("include", "wengert")]
        component.requires = requires
