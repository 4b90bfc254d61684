# Install rules and the package files of find_package and pkg-config.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(headers ${CMAKE_INSTALL_INCLUDEDIR}/wengert)  # the exported include directory: the bare names autodiff/, nn/ belong to others
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/wengert)

# Components for packages (WengertPackage.cmake): shared objects are `runtime`, that with MPI is `distributed`, all else is `development`.
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)

install(TARGETS wengert wengert_autodiff wengert_nn wengert_optim
  EXPORT wengertTargets
  LIBRARY COMPONENT runtime NAMELINK_COMPONENT development
  FILE_SET HEADERS DESTINATION ${headers}
  FILE_SET interop DESTINATION ${headers}
  INCLUDES DESTINATION ${headers})
install(EXPORT wengertTargets NAMESPACE wengert:: DESTINATION ${package})
if(TARGET wengert_distributed)  # a component of its own, so that nobody else needs MPI
  install(TARGETS wengert_distributed
    EXPORT wengertDistributedTargets
    LIBRARY COMPONENT distributed NAMELINK_COMPONENT development
    FILE_SET HEADERS DESTINATION ${headers}
    FILE_SET interop DESTINATION ${headers}
    INCLUDES DESTINATION ${headers})
  install(EXPORT wengertDistributedTargets NAMESPACE wengert:: DESTINATION ${package})
endif()

get_target_property(WENGERT_LIBRARY_TYPE wengert_autodiff TYPE)
configure_package_config_file(cmake/wengertConfig.cmake.in cmake/wengertConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(cmake/wengertConfigVersion.cmake COMPATIBILITY ${WENGERT_COMPATIBILITY})
install(FILES ${PROJECT_BINARY_DIR}/cmake/wengertConfig.cmake ${PROJECT_BINARY_DIR}/cmake/wengertConfigVersion.cmake DESTINATION ${package})

# The libraries that exist, users before what they use.
set(WENGERT_LINK "")
foreach(name nn optim autodiff)
  get_target_property(type wengert_${name} TYPE)
  if(NOT type STREQUAL INTERFACE_LIBRARY)
    string(APPEND WENGERT_LINK " -lwengert_${name}")
  endif()
endforeach()
file(RELATIVE_PATH WENGERT_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})  # so that the tree can be moved
configure_file(cmake/wengert.pc.in cmake/wengert.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/wengert.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
