#!/usr/bin/env python3
"""conan_stand_in.py RECIPES BUILD WORK COMPILER BUILD_TYPE [FLAGS]: `conan create RECIPES` without Conan.

Conan is no Debian package, so this file stands in for it where the suite runs. It has what Conan documents of the interface that the recipe
uses; a name, an attribute or an option that it does not know is an error. What differs:
- nothing is compiled: configuring and installing are real, and the archives in between are those of the finished BUILD;
- the required packages are those of the system, whose versions must be in the recipe's ranges;
- package_info is used twice: as CMake uses it, by the recipe's test_package, and for a compiler's command line, as other generators do.

The package is left in WORK/package."""
import collections
import fnmatch
import importlib.util
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import types

ATTRIBUTES = {
    "default_options", "description", "exports_sources", "generators", "license", "name", "options", "package_type", "settings",
    "test_package_folder", "topics", "version",
}
METHODS = {
    "build", "config_options", "configure", "generate", "layout", "package", "package_info", "requirements", "set_version",
    "system_requirements", "test", "validate",
}
TRAITS = {"headers", "libs", "run", "transitive_headers", "transitive_libs", "visible"}
# Packages of Conan Center: the pkg-config name of the same in the system, and what its component is linked with.
SYSTEM = {
    "fmt": ("fmt", "-lfmt"),
    "highway": ("libhwy", None),
    "libpng": ("libpng", "-lpng"),
    "nlohmann_json": ("nlohmann_json", None),
    "zlib": ("zlib", "-lz"),
}


class ConanException(Exception):
    pass


class ConanInvalidConfiguration(ConanException):
    pass


def run(*command, **kwargs):
    """The output of a command, which must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **kwargs)
    if done.returncode != 0:
        raise ConanException(f"{shlex.join(map(str, command))}\n{done.stdout}")
    return done.stdout


class Fields:
    """An object with these attributes and no others; with `allowed`, their values are from these lists."""

    def __init__(self, fields, allowed=None):
        self.__dict__.update(fields, _allowed=allowed)

    def __setattr__(self, name, value):
        if name not in self.__dict__ or self._allowed and value not in self._allowed[name]:
            raise ConanException(f"{name} = {value!r} is not one of the options")
        self.__dict__[name] = value


class Component(Fields):
    def __init__(self):
        super().__init__({
            "bindirs": ["bin"], "builddirs": [], "defines": [], "includedirs": ["include"], "libdirs": ["lib"], "libs": [], "requires": [],
            "system_libs": [],
        })
        self.__dict__["properties"] = {}

    def set_property(self, name, value):
        if name not in ("cmake_file_name", "cmake_find_mode", "cmake_target_name", "pkg_config_name"):
            raise ConanException(f"cpp_info: the stand-in does not know the property {name}")
        self.properties[name] = value


class CppInfo(Component):
    def __init__(self):
        super().__init__()
        self.__dict__["components"] = collections.defaultdict(Component)

    def __setattr__(self, name, value):
        raise ConanException(f"cpp_info.{name}: Conan ignores what the package as a whole has once it has components")


class ConanFile:
    generators = exports_sources = ()
    options, default_options = {}, {}

    def __init_subclass__(cls):
        public = {name for name in vars(cls) if not name.startswith("_")}
        for name in public - ATTRIBUTES - METHODS:
            raise ConanException(f"{cls.__name__}.{name}: the stand-in does not know it")
        assert cls.settings == ("os", "arch", "compiler", "build_type"), cls.settings

    def __init__(self, recipe_folder, settings):
        self.recipe_folder = str(recipe_folder)
        self.settings = settings
        self.options = Fields(self.default_options, {name: values for name, values in type(self).options.items()})
        self.required = {}
        self.cpp_info = CppInfo()
        self.dependencies = {}

    def requires(self, reference, **traits):
        name, version = re.fullmatch(r"([\w.+-]+)/(.+)", reference).groups()
        if traits.keys() - TRAITS:
            raise ConanException(f"requires {reference}: the stand-in does not know {traits}")
        self.required[name] = (version, traits)

    def run(self, command, env):
        assert env == "conanrun", env
        print(run("bash", "-c", command, cwd=self.build_folder), end="")


# conan.tools.files
def load(_conanfile, path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def copy(_conanfile, pattern, src, dst):
    found = [path for path in pathlib.Path(src).rglob("*") if path.is_file() and fnmatch.fnmatch(str(path.relative_to(src)), pattern)]
    if not found:
        raise ConanException(f"copy: nothing in {src} matches {pattern}")
    for path in found:
        target = pathlib.Path(dst, path.relative_to(src))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


# conan.tools.build
def check_min_cppstd(conanfile, cppstd):
    if int(re.sub("gnu", "", conanfile.settings.compiler.cppstd)) < cppstd:
        raise ConanInvalidConfiguration(f"needs C++{cppstd}")


def can_run(_conanfile):
    return True


# conan.tools.system.package_manager
class Apt:
    """In Conan's default mode, which looks and does not install."""

    def __init__(self, _conanfile):
        pass

    def install(self, packages, host_package=True):
        assert isinstance(host_package, bool)
        if shutil.which("dpkg-query"):
            run("dpkg-query", "--show", *packages)


# conan.tools.cmake
def cmake_layout(conanfile):
    conanfile.build_folder = os.path.join(conanfile.base_folder, "build", conanfile.settings.build_type)
    conanfile.generators_folder = os.path.join(conanfile.build_folder, "generators")
    os.makedirs(conanfile.generators_folder, exist_ok=True)
    conanfile.cpp = Fields({"build": Fields({"bindir": "."})})


class CMakeToolchain:
    """A toolchain file with the settings, and with where the required packages of Conan are. (Those of the system need no search path.)"""

    def __init__(self, conanfile):
        self.__dict__.update(conanfile=conanfile, cache_variables={}, user_presets_path=None)

    def __setattr__(self, name, value):
        if name != "user_presets_path":
            raise ConanException(f"CMakeToolchain: the stand-in does not know {name}")
        self.__dict__[name] = value

    def generate(self):
        recipe = self.conanfile
        compiler, flags = recipe.settings.compiler.executable, recipe.settings.compiler.flags
        lines = [f'set(CMAKE_CXX_COMPILER "{compiler}")', f'set(CMAKE_CXX_FLAGS_INIT "{flags}")']
        lines.append("set(CMAKE_FIND_PACKAGE_PREFER_CONFIG ON)")
        if hasattr(recipe.options, "shared"):
            lines.append(f"set(BUILD_SHARED_LIBS {'ON' if recipe.options.shared else 'OFF'})")
        if recipe.package_folder:
            lines += ["set(CMAKE_INSTALL_LIBDIR lib)", "set(CMAKE_INSTALL_BINDIR bin)", "set(CMAKE_INSTALL_INCLUDEDIR include)"]
        for dependency in recipe.dependencies.values():
            folders = [folder for component in dependency.cpp_info.components.values() for folder in component.builddirs]
            lines += [f"list(PREPEND CMAKE_PREFIX_PATH {dependency.package_folder}/{folder})" for folder in folders]
        pathlib.Path(recipe.generators_folder, "conan_toolchain.cmake").write_text("\n".join(lines) + "\n", encoding="utf-8")
        recipe.cache_variables = self.cache_variables


class CMakeDeps:
    """Makes nothing: packages of the system have their files, and one whose cmake_find_mode is "none" uses its own."""

    def __init__(self, conanfile):
        self.conanfile = conanfile

    def generate(self):
        for name, dependency in self.conanfile.dependencies.items():
            if dependency.cpp_info.properties.get("cmake_find_mode") != "none":
                raise ConanException(f"CMakeDeps: the stand-in makes no files for {name}")


class CMake:
    def __init__(self, conanfile):
        self.conanfile = conanfile

    def configure(self, variables=None, build_script_folder=None):
        recipe = self.conanfile
        values = {**recipe.cache_variables, **(variables or {})}
        definitions = [f"-D{k}={v if isinstance(v, str) else 'ON' if v else 'OFF'}" for k, v in values.items()]
        source = os.path.join(recipe.source_folder, build_script_folder or ".")
        output = run("cmake", "-G", "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={recipe.generators_folder}/conan_toolchain.cmake",
                     f"-DCMAKE_BUILD_TYPE={recipe.settings.build_type}", f"-DCMAKE_INSTALL_PREFIX={recipe.package_folder or ''}",
                     *definitions, "-S", source, "-B", recipe.build_folder)
        if "Manually-specified variables were not used" in output:
            raise ConanException(output)

    def build(self):
        recipe = self.conanfile
        if recipe.archives is None:
            run("cmake", "--build", recipe.build_folder)
        else:
            for archive in recipe.archives:
                shutil.copy2(recipe.finished_build / archive, pathlib.Path(recipe.build_folder, archive))

    def install(self):
        run("cmake", "--install", self.conanfile.build_folder, "--prefix", self.conanfile.package_folder)


def module(name, **names):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(names)


module("conan", ConanFile=ConanFile)
module("conan.errors", ConanException=ConanException, ConanInvalidConfiguration=ConanInvalidConfiguration)
module("conan.tools")
module("conan.tools.build", can_run=can_run, check_min_cppstd=check_min_cppstd)
module("conan.tools.cmake", CMake=CMake, CMakeDeps=CMakeDeps, CMakeToolchain=CMakeToolchain, cmake_layout=cmake_layout)
module("conan.tools.files", copy=copy, load=load)
module("conan.tools.system")
module("conan.tools.system.package_manager", Apt=Apt)


def recipe_in(folder, settings):
    """An object of the class that FOLDER/conanfile.py defines."""
    spec = importlib.util.spec_from_file_location("conanfile", folder / "conanfile.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    classes = [c for c in vars(loaded).values() if isinstance(c, type) and issubclass(c, ConanFile) and c is not ConanFile]
    (cls,) = classes
    return cls(folder, settings)


def call(recipe, *methods):
    for method in methods:
        if hasattr(recipe, method):
            getattr(recipe, method)()


def numbers(version):
    return [int(n) for n in version.split(".")]


def check_versions(recipe):
    """The ranges of the recipe hold the versions of the system, which are those that the suite tests."""
    for name, (versions, _) in recipe.required.items():
        if name not in SYSTEM:
            raise ConanException(f"requires {name}: the stand-in does not know this package")
        low, high = re.fullmatch(r"\[>=([\d.]+) <([\d.]+)\]", versions).groups()
        found = run("pkg-config", "--modversion", SYSTEM[name][0]).strip()
        if not numbers(low) <= numbers(found) < numbers(high):
            raise ConanException(f"requires {name}/{versions}, but tested is {found}")


def check_components(recipe):
    """As Conan does: components name each other, and of the required packages all that consumers see."""
    components = recipe.cpp_info.components
    names = {r for c in components.values() for r in c.requires}
    unknown = {r for r in names if "::" not in r} - components.keys()
    external = {r.split("::")[0] for r in names if "::" in r}
    visible = {name for name, (_, traits) in recipe.required.items() if traits.get("visible", True)}
    if unknown or external != visible:
        raise ConanException(f"components require {unknown or external}, the recipe {visible}")
    for name, component in components.items():
        folders = component.builddirs + component.includedirs + component.libdirs
        missing = [f for f in folders if not pathlib.Path(recipe.package_folder, f).is_dir()]
        missing += [lib for lib in component.libs if not any(pathlib.Path(recipe.package_folder, "lib").glob(f"lib{lib}.*"))]
        if missing:
            raise ConanException(f"component {name}: the package does not hold {missing}")


def closure(components, name):
    """The component and those that it requires, users before what they use."""
    order = []

    def visit(visited):
        for required in components[visited].requires:
            if "::" not in required and required not in order:
                visit(required)
        order.append(visited)

    visit(name)
    return order[::-1]


def command_line(recipe, name):
    """The arguments of a compiler that a component asks for."""
    used = [recipe.cpp_info.components[n] for n in closure(recipe.cpp_info.components, name)]
    prefix = recipe.package_folder
    arguments = [f"-I{prefix}/{d}" for c in used for d in c.includedirs] + [f"-L{prefix}/{d}" for c in used for d in c.libdirs]
    arguments += [f"-l{lib}" for c in used for lib in c.libs]
    arguments += [SYSTEM[r.split("::")[0]][1] for c in used for r in c.requires if "::" in r]
    return list(dict.fromkeys(arguments)) + [f"-l{lib}" for c in used for lib in c.system_libs]


def create(folder, build, work, settings):
    recipe = recipe_in(folder, settings)
    recipe.finished_build = build
    recipe.archives = [path.relative_to(build) for room in ("autodiff", "optim", "nn") for path in (build / room).rglob("lib*.a")]
    recipe.options.mpi = any("distributed" in path.name for path in recipe.archives)
    shutil.rmtree(work, ignore_errors=True)
    recipe.base_folder = recipe.source_folder = str(work / "exported")
    recipe.package_folder = str(work / "package")
    call(recipe, "set_version")
    for pattern in recipe.exports_sources:
        copy(recipe, pattern, recipe.recipe_folder, recipe.source_folder)
    call(recipe, "config_options", "configure", "requirements", "validate", "layout", "system_requirements")
    check_versions(recipe)
    call(recipe, "generate", "build", "package", "package_info")
    check_components(recipe)
    recipe.source_folder = None
    shutil.rmtree(work / "exported")
    return recipe


def test(recipe, work, settings):
    test_recipe = recipe_in(pathlib.Path(recipe.recipe_folder, recipe.test_package_folder), settings)
    test_recipe.tested_reference_str = f"{recipe.name}/{recipe.version}"
    test_recipe.archives = test_recipe.package_folder = None
    test_recipe.source_folder, test_recipe.base_folder = test_recipe.recipe_folder, str(work / "test")
    test_recipe.cache_variables = {}
    call(test_recipe, "requirements")
    assert test_recipe.required == {recipe.name: (recipe.version, {})}
    test_recipe.dependencies[recipe.name] = recipe
    call(test_recipe, "layout")
    for generator in test_recipe.generators:
        {"CMakeDeps": CMakeDeps, "CMakeToolchain": CMakeToolchain}[generator](test_recipe).generate()
    call(test_recipe, "generate", "build", "test")


def refuses(folder, settings):
    """Whether the recipe refuses these settings."""
    recipe = recipe_in(folder, settings)
    try:
        recipe.validate()
    except ConanInvalidConfiguration:
        return True
    return False


def main(folder, build, work, compiler, build_type, flags=""):
    folder, build, work = (pathlib.Path(p).resolve() for p in (folder, build, work))

    def settings(system="Linux", cppstd="20"):
        executable = shutil.which(compiler)
        return Fields({"os": system, "arch": platform.machine(), "build_type": build_type,
                       "compiler": Fields({"cppstd": cppstd, "executable": executable, "flags": flags})})

    sys.dont_write_bytecode = True
    assert refuses(folder, settings("Windows")) and refuses(folder, settings(cppstd="gnu17")) and not refuses(folder, settings())
    recipe = create(folder, build, work, settings())
    print(f"{recipe.name}/{recipe.version}: {', '.join(recipe.cpp_info.components)}")
    test(recipe, work, settings())
    consumer = pathlib.Path(recipe.recipe_folder, recipe.test_package_folder).parent
    run(compiler, "-std=c++20", *shlex.split(flags), consumer / "main.cpp", "-o", work / "consumer", *command_line(recipe, "nn"))
    print(run(work / "consumer"), end="")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ConanException as error:
        sys.exit(f"conan_stand_in: {error}")
