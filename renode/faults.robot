*** Comments ***
Faults on an emulated board, each of which must be told on the UART. `nox -s renode_tests` gives the variables:
    BOARD, UART    as in prompts.robot
    ELF            the image
    TEST_ELF       the image built with -DTHIMBLE_TEST_COMMANDS=ON: it has the request CRASH
    USAGE          the kind of an undefined instruction; cores without a usage fault say `hard`

*** Settings ***
Resource          ${RENODEKEYWORDS}
Resource          thimble.resource
Suite Setup       Setup
Suite Teardown    Teardown
Test Setup        Reset Emulation
Test Teardown     Test Teardown
Test Timeout      10 minutes

*** Variables ***
${USAGE}          usage

*** Test Cases ***
Should Refuse To Compute With Broken Weights
    [Documentation]    A bit of the weights flips in flash before the board starts.
    Load    ${ELF}
    ${address}=    Execute Command    sysbus GetSymbolAddress "weights_start"
    ${word}=    Execute Command    sysbus ReadDoubleWord ${address.strip()}
    ${broken}=    Evaluate    hex(int($word, 16) ^ 0x100)
    Execute Command    sysbus WriteDoubleWord ${address.strip()} ${broken}
    Wait For Line On Uart    ^READY thimble 1$    treatAsRegex=true
    Ask    INFO    OK protocol=1 .* weights=corrupt tables=intact code=intact data=intact record=intact.*
    Ask    ASK 4 light    ERR image .*

Should Report An Undefined Instruction
    Boot    ${TEST_ELF}
    ${pc}=    Crash    undefined    ${USAGE}
    ${code}=    Execute Command    sysbus ReadWord ${pc}
    Should Be Equal As Integers    ${code.strip()}    0xDE00

Should Report A Stack Overflow
    Boot    ${TEST_ELF}
    Crash    stack    stack-overflow

*** Keywords ***
Crash
    [Documentation]    Makes the board fail; returns the program counter that it tells.
    [Arguments]    ${how}    ${kind}
    Write Line To Uart    CRASH ${how}
    Next Line    ${EMPTY}
    ${word}=    Set Variable    [0-9a-f]{8}
    ${groups}=    Next Line    FAULT ${kind} pc=(${word}) lr=${word} sp=${word} cfsr=${word} hfsr=${word} address=${word}
    Board Should Be Silent
    RETURN    0x${groups}[0]

Board Should Be Silent
    [Documentation]    After a fault the processor has stopped for good.
    Write Line To Uart    INFO
    Should Not Be On Uart    OK    timeout=1
